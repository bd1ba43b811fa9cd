from uuid import UUID

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [('messaging', '0012_resent_once_unless_in_vain')]

    operations = [
        migrations.AddField(
            model_name='broadcast',
            name='blanked_at',
            field=models.DateTimeField(null=True, verbose_name='blanked at'),
        ),
        migrations.AddField(
            model_name='broadcast',
            name='unblanked_from',
            field=models.UUIDField(db_default=UUID(int=0), default=UUID(int=0), null=True, verbose_name='blanked up to'),
        ),
        migrations.AddField(
            model_name='inboundmessage',
            name='blanked_at',
            field=models.DateTimeField(null=True, verbose_name='blanked at'),
        ),
    ]
