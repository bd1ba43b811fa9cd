import accounts.models
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_repeat_guard'),
        ('contacts', '0001_contacts_tags_and_opt_outs'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ImportJob',
            fields=[
                ('id', models.UUIDField(db_default=accounts.models.UuidV7(), default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='created at')),
                ('file_name', models.CharField(max_length=200, verbose_name='file')),
                ('mode', models.CharField(choices=[('ADD', 'Add new contacts only'), ('UPDATE', 'Add new contacts and update known ones'), ('DELETE_ALL', "Replace all contacts by the file's")], max_length=10, verbose_name='mode')),
                ('status', models.CharField(choices=[('PROCESSING', 'Processing'), ('COMPLETED', 'Completed'), ('ERROR', 'Error')], default='PROCESSING', max_length=10, verbose_name='status')),
                ('failure', models.CharField(blank=True, choices=[('nothing_taken', 'No row of the file could be taken, so no contact was deleted.'), ('broken', 'It broke off again and again. What was taken until then stays.')], default='', max_length=20, verbose_name='reason')),
                ('tag_ids', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, size=None, verbose_name='tags')),
                ('total', models.IntegerField(default=0, verbose_name='rows')),
                ('done', models.IntegerField(default=0, verbose_name='rows dealt with')),
                ('added', models.IntegerField(default=0, verbose_name='contacts added')),
                ('updated', models.IntegerField(default=0, verbose_name='contacts found')),
                ('deleted', models.IntegerField(default=0, verbose_name='contacts deleted')),
                ('not_taken', models.IntegerField(default=0, verbose_name='rows not taken')),
                ('woken_at', models.DateTimeField(null=True, verbose_name='woken at')),
                ('broken_bites', models.IntegerField(default=0, verbose_name='bites broken off')),
                ('finished_at', models.DateTimeField(null=True, verbose_name='finished at')),
                ('member', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='imported by')),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.organization', verbose_name='organization')),
            ],
            options={
                'verbose_name': 'import',
                'verbose_name_plural': 'imports',
            },
        ),
        migrations.CreateModel(
            name='ImportChunk',
            fields=[
                ('id', models.UUIDField(db_default=accounts.models.UuidV7(), default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='created at')),
                ('number', models.IntegerField()),
                ('rows', models.TextField()),
                ('job', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='chunks', to='contacts.importjob')),
            ],
        ),
        migrations.CreateModel(
            name='ImportKey',
            fields=[
                ('id', models.UUIDField(db_default=accounts.models.UuidV7(), default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='created at')),
                ('key', models.CharField(max_length=65)),
                ('line', models.IntegerField()),
                ('job', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.importjob')),
            ],
        ),
        migrations.CreateModel(
            name='UntakenRow',
            fields=[
                ('id', models.UUIDField(db_default=accounts.models.UuidV7(), default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='created at')),
                ('line', models.IntegerField()),
                ('reason', models.CharField(choices=[('unreadable', 'The row holds characters that cannot be stored.'), ('too_many_cells', 'The row has more cells than the first one.'), ('too_long', 'A text is too long: %(detail)s.'), ('no_number', 'There is no phone number.'), ('unknown_country', 'There is no such country. Write two letters, as CO, or a calling code, as 57.'), ('invalid_number', 'This is no valid phone number. Write it with its country, as +57 300 123 4567.'), ('invalid_email', 'This is no e-mail address.'), ('invalid_date', 'This is no date of birth. Write it as 1990-01-31.'), ('invalid_status', 'There is no such status. Write ACTIVE, INACTIVE or BLOCKED.'), ('repeated', 'Line %(detail)s of the file has the same number.'), ('known', 'A contact has this number already.')], max_length=20)),
                ('detail', models.CharField(blank=True, default='', max_length=100)),
                ('job', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='untaken', to='contacts.importjob')),
            ],
        ),
        migrations.AddIndex(
            model_name='importjob',
            index=models.Index(fields=['organization', '-created_at', '-id'], name='contacts_import_newest'),
        ),
        migrations.AddConstraint(
            model_name='importjob',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'PROCESSING')), fields=('organization',), name='contacts_import_one_running'),
        ),
        migrations.AddConstraint(
            model_name='importchunk',
            constraint=models.UniqueConstraint(fields=('job', 'number'), name='contacts_chunk_once'),
        ),
        migrations.AddConstraint(
            model_name='importkey',
            constraint=models.UniqueConstraint(fields=('job', 'key'), name='contacts_key_once'),
        ),
        migrations.AddConstraint(
            model_name='untakenrow',
            constraint=models.UniqueConstraint(fields=('job', 'line'), name='contacts_untaken_once'),
        ),
    ]
