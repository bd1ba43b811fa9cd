"""An index on a table that is written all the time: built beside its readers and writers."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [('messaging', '0010_indexes_of_failures_and_credits')]

    operations = [
        AddIndexConcurrently(
            model_name='broadcast',
            index=models.Index(condition=models.Q(('status', 'SCHEDULED')), fields=['scheduled_at'], name='messaging_broadcast_scheduled'),
        ),
    ]
