import accounts.models
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_repeat_guard'),
        ('contacts', '0001_contacts_tags_and_opt_outs'),
        ('messaging', '0002_messages_leave_room_for_updates'),
    ]

    operations = [
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', models.UUIDField(db_default=accounts.models.UuidV7(), default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='created at')),
                ('key', models.CharField(max_length=255, verbose_name='key')),
                ('fingerprint', models.CharField(max_length=64, verbose_name='fingerprint of the request')),
            ],
            options={
                'verbose_name': 'idempotency key',
                'verbose_name_plural': 'idempotency keys',
            },
        ),
        migrations.CreateModel(
            name='InboundMessage',
            fields=[
                ('id', models.UUIDField(db_default=accounts.models.UuidV7(), default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='created at')),
                ('provider', models.CharField(max_length=64, verbose_name='provider')),
                ('provider_message_id', models.CharField(blank=True, max_length=128, verbose_name="provider's id")),
                ('sender', models.CharField(max_length=32, verbose_name='from')),
                ('recipient', models.CharField(blank=True, max_length=32, verbose_name='to')),
                ('text', models.TextField(blank=True, verbose_name='text')),
                ('effect', models.CharField(blank=True, choices=[('STOP', 'Opted out'), ('START', 'Opted in again'), ('HELP', 'Asked for help'), ('', 'None')], max_length=8, verbose_name='effect')),
                ('organizations', models.PositiveIntegerField(default=0, verbose_name='organizations it counted for')),
                ('raw', models.JSONField(verbose_name="the provider's words")),
            ],
            options={
                'verbose_name': 'inbound message',
                'verbose_name_plural': 'inbound messages',
            },
        ),
        migrations.CreateModel(
            name='ProviderState',
            fields=[
                ('name', models.CharField(max_length=64, primary_key=True, serialize=False, verbose_name='provider')),
                ('failures_in_a_row', models.PositiveSmallIntegerField(db_default=0, verbose_name='failures in a row')),
                ('recent_results', models.CharField(blank=True, db_default='', max_length=20, verbose_name='latest results')),
                ('open_until', models.DateTimeField(null=True, verbose_name='closed to messages until')),
                ('because', models.CharField(blank=True, db_default='', max_length=300, verbose_name='because')),
                ('probing_until', models.DateTimeField(null=True, verbose_name='one request is under way until')),
                ('updated_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='updated at')),
            ],
            options={
                'verbose_name': "provider's state",
                'verbose_name_plural': "providers' states",
            },
        ),
        migrations.AddField(
            model_name='broadcast',
            name='recent_results',
            field=models.CharField(blank=True, db_default='', max_length=200, verbose_name='latest results'),
        ),
        migrations.AddField(
            model_name='message',
            name='look_up_at',
            field=models.DateTimeField(null=True, verbose_name='next look-up at'),
        ),
        migrations.AddField(
            model_name='idempotencykey',
            name='broadcast',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='messaging.broadcast', verbose_name='broadcast'),
        ),
        migrations.AddField(
            model_name='idempotencykey',
            name='organization',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.organization', verbose_name='organization'),
        ),
        migrations.AddIndex(
            model_name='inboundmessage',
            index=models.Index(fields=['sender'], name='messaging_inbound_sender'),
        ),
        migrations.AddIndex(
            model_name='inboundmessage',
            index=models.Index(fields=['-created_at', '-id'], name='messaging_inbound_newest'),
        ),
        migrations.AddConstraint(
            model_name='inboundmessage',
            constraint=models.UniqueConstraint(condition=models.Q(('provider_message_id', ''), _negated=True), fields=('provider', 'provider_message_id'), name='messaging_inboundmessage_once'),
        ),
        migrations.AddIndex(
            model_name='idempotencykey',
            index=models.Index(fields=['created_at'], name='messaging_idempotencykey_age'),
        ),
        migrations.AddConstraint(
            model_name='idempotencykey',
            constraint=models.UniqueConstraint(fields=('organization', 'key'), name='messaging_idempotencykey_once'),
        ),
    ]
