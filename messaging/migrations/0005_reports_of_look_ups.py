from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0004_index_of_messages_to_look_up")]

    operations = [
        migrations.AddField(
            model_name="deliveryreport",
            name="looked_up",
            field=models.BooleanField(db_default=False, verbose_name="looked up"),
        ),
    ]
