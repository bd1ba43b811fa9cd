"""What the chore of retention looks for: built beside readers and writers."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [('messaging', '0014_blanked_broadcasts')]

    operations = [
        AddIndexConcurrently(
            model_name='broadcast',
            index=models.Index(condition=models.Q(('finished_at__isnull', False), ('unblanked_from__isnull', False)), fields=['organization', 'finished_at'], name='messaging_broadcast_unblanked'),
        ),
        AddIndexConcurrently(
            model_name='deliveryreport',
            index=models.Index(condition=models.Q(('outcome', 'UNMATCHED'), models.Q(('raw', {}), _negated=True)), fields=['created_at'], name='messaging_report_unblanked'),
        ),
        AddIndexConcurrently(
            model_name='inboundmessage',
            index=models.Index(condition=models.Q(('blanked_at', None)), fields=['created_at'], name='messaging_inbound_unblanked'),
        ),
    ]
