"""An index on a large table: built beside its readers and writers, so outside a transaction."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [('contacts', '0002_imports_of_contacts')]

    operations = [
        AddIndexConcurrently(
            model_name='contact',
            index=models.Index(condition=models.Q(('deleted_at', None)), fields=['organization', 'origin', 'region'], name='contacts_contact_kinds'),
        ),
    ]
