"""What the admin's filters by failure, reason, charge and price are answered from."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [('messaging', '0009_indexes_of_lists')]

    operations = [
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(condition=models.Q(('status__in', ['FAILED', 'UNDELIVERED', 'UNKNOWN'])), fields=['organization', 'created_at', 'id'], name='messaging_message_failed'),
        ),
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(condition=models.Q(('error_code', ''), _negated=True), fields=['organization', 'error_code', 'created_at', 'id'], name='messaging_message_error'),
        ),
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(condition=models.Q(('charge__in', ['RELEASED', 'UNCOLLECTED'])), fields=['organization', 'charge', 'created_at', 'id'], name='messaging_message_charge'),
        ),
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(condition=models.Q(('credits__gt', 1)), fields=['organization', 'credits', 'created_at', 'id'], name='messaging_message_credits'),
        ),
    ]
