"""The addresses of sending, following, and carriers' callbacks, below /api/."""

from django.urls import path

from messaging import views, webhooks

urlpatterns = [
    path("messages/sms/all", views.SendToAllView.as_view(), name="send-to-all"),
    path("messages/queues/<uuid:queue_id>", views.QueueView.as_view(), name="queue"),
    path("providers/<slug:slug>/reports", webhooks.ReportsView.as_view(), name="reports"),
]
