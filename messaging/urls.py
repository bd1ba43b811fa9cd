"""The addresses of sending, following, and carriers' callbacks, below /api/."""

from django.urls import path

from messaging import webhooks
from messaging.views import following, sending

urlpatterns = [
    path("messages/sms/all", sending.SendToAllView.as_view(), name="send-to-all"),
    path("messages/queues/<uuid:queue_id>", following.QueueView.as_view(), name="queue"),
    path("messages/queues/<uuid:queue_id>/pause", following.PauseView.as_view(), name="pause"),
    path("messages/queues/<uuid:queue_id>/resume", following.ResumeView.as_view(), name="resume"),
    path("messages/queues/<uuid:queue_id>/cancel", following.CancelView.as_view(), name="cancel"),
    path("providers/<slug:slug>/reports", webhooks.ReportsView.as_view(), name="reports"),
    path("providers/<slug:slug>/inbound", webhooks.InboundView.as_view(), name="inbound"),
]
