"""The addresses of sending, following, and carriers' callbacks, below /api/."""

from django.urls import path

from messaging import webhooks
from messaging.views import control, dashboard, following, messages, sending

urlpatterns = [
    # First, as these are called hundreds of times a second.
    path("providers/<slug:slug>/reports", webhooks.ReportsView.as_view(), name="reports"),
    path("providers/<slug:slug>/inbound", webhooks.InboundView.as_view(), name="inbound"),
    path("messages/sms/all", sending.SendToAllView.as_view(), name="send-to-all"),
    path("messages/sms/contacts", sending.SendToContactsView.as_view(), name="send-to-contacts"),
    path("messages/sms/tags", sending.SendToTagsView.as_view(), name="send-to-tags"),
    path("messages", messages.MessagesView.as_view(), name="messages"),
    path("messages/export", messages.MessageExportView.as_view(), name="export-messages"),
    path("messages/<uuid:message_id>", messages.OneMessageView.as_view(), name="message"),
    path("reports/dashboard", dashboard.DashboardView.as_view(), name="dashboard"),
    path("messages/queues", following.QueuesView.as_view(), name="queues"),
    path(
        "messages/queues/<uuid:queue_id>/messages",
        following.QueueMessagesView.as_view(),
        name="queue-messages",
    ),
    path(
        "messages/queues/<uuid:queue_id>/skipped",
        following.QueueSkippedView.as_view(),
        name="queue-skipped",
    ),
    path("messages/queues/<uuid:queue_id>", control.QueueView.as_view(), name="queue"),
    path("messages/queues/<uuid:queue_id>/pause", control.PauseView.as_view(), name="pause"),
    path("messages/queues/<uuid:queue_id>/resume", control.ResumeView.as_view(), name="resume"),
    path("messages/queues/<uuid:queue_id>/cancel", control.CancelView.as_view(), name="cancel"),
    path("messages/queues/<uuid:queue_id>/approve", control.ApproveView.as_view(), name="approve"),
    path(
        "messages/queues/<uuid:queue_id>/resend-failed",
        control.ResendFailedView.as_view(),
        name="resend-failed",
    ),
    path("messages/queues/<uuid:queue_id>/reject", control.RejectView.as_view(), name="reject"),
]
