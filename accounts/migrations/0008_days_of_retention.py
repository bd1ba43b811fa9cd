import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0007_audit_trail_indexes'),
    ]

    operations = [
        migrations.AddField(
            model_name='organization',
            name='retention_days',
            field=models.PositiveIntegerField(blank=True, help_text='So many days after a broadcast ended, its text and the numbers of its messages are removed for good; counts, credits and the audit trail stay. At least 7. Empty: they are kept for ever.', null=True, validators=[django.core.validators.MinValueValidator(7), django.core.validators.MaxValueValidator(36500)], verbose_name='days after which numbers and texts are blanked'),
        ),
        migrations.AddConstraint(
            model_name='organization',
            constraint=models.CheckConstraint(condition=models.Q(('retention_days', None), ('retention_days__range', (7, 36500)), _connector='OR'), name='accounts_organization_retention_range'),
        ),
    ]
