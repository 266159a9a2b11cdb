from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dashboard", "0002_across"),
    ]

    operations = [
        migrations.AddField(
            model_name="marketrow",
            name="via",
            field=models.CharField(blank=True, default="", max_length=16),
        ),
    ]
