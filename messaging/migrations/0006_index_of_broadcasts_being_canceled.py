"""An index on a table that is written all the time: built beside its readers and writers."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [('messaging', '0005_reports_of_look_ups')]

    operations = [
        AddIndexConcurrently(
            model_name='broadcast',
            index=models.Index(condition=models.Q(('finished_at', None), ('status', 'CANCELED')), fields=['id'], name='messaging_broadcast_canceling'),
        ),
    ]
