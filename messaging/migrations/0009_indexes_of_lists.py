"""What lists, filters and exports of messages are answered from: built beside readers and writers."""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

# A broadcast's messages are born with it, in one moment. Without being told, the planner takes the two
# for independent, expects a hundredth of the rows there are, and sorts a million of them for a page.
BORN = """
CREATE STATISTICS messaging_message_born (dependencies) ON broadcast_id, created_at
FROM messaging_message
"""


class Migration(migrations.Migration):
    atomic = False

    dependencies = [('messaging', '0007_approvals_and_resends')]

    operations = [
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(fields=['organization', 'created_at', 'id'], name='messaging_message_newest'),
        ),
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(fields=['organization', 'country', 'created_at', 'id'], name='messaging_message_country'),
        ),
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(condition=models.Q(('status__in', ['QUEUED', 'SENDING']), _negated=True), fields=['organization', 'status', 'created_at', 'id'], name='messaging_message_status'),
        ),
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(condition=models.Q(('provider', ''), _negated=True), fields=['organization', 'provider', 'created_at', 'id'], name='messaging_message_provider'),
        ),
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(condition=models.Q(('contact__isnull', False)), fields=['contact'], name='messaging_message_contact'),
        ),
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(condition=models.Q(('status__in', ['FAILED', 'UNDELIVERED', 'UNKNOWN'])), fields=['broadcast', 'error_code'], name='messaging_message_failures'),
        ),
        AddIndexConcurrently(
            model_name='broadcast',
            index=models.Index(fields=['organization', 'kind', '-created_at', '-id'], name='messaging_broadcast_kind'),
        ),
        AddIndexConcurrently(
            model_name='broadcast',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.search.SearchVector(models.Func(models.F('text'), models.Value('ÁÀÄÂÃÅÉÈËÊÍÌÏÎÓÒÖÔÕÚÙÜÛÝÇÑáàäâãåéèëêíìïîóòöôõúùüûýçñ'), models.Value('AAAAAAEEEEIIIIOOOOOUUUUYCNaaaaaaeeeeiiiiooooouuuuycn'), function='TRANSLATE', output_field=models.TextField()), config='simple'), name='messaging_broadcast_words'),
        ),
        migrations.RunSQL(BORN, reverse_sql='DROP STATISTICS messaging_message_born'),
    ]
