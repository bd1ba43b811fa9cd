from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_audit_is_append_only'),
    ]

    operations = [
        migrations.AddField(
            model_name='organization',
            name='repeat_guard_seconds',
            field=models.PositiveIntegerField(db_default=0, default=0, help_text='A second broadcast with the same text within so many seconds is refused, unless its request carries an Idempotency-Key. 0 turns this off.', verbose_name='seconds in which the same text is not taken twice'),
        ),
    ]
