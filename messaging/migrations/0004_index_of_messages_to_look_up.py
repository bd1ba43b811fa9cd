"""An index on the largest table: built beside its readers and writers, so outside a transaction."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [('messaging', '0003_idempotency_keys_inbound_messages_and_provider_states')]

    operations = [
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(condition=models.Q(('charge', 'RESERVED'), ('look_up_at__isnull', False), ('status', 'UNKNOWN')), fields=['look_up_at'], name='messaging_message_look_up'),
        ),
    ]
