"""The dashboards of charts/monitoring, as code. ``make dashboards`` writes them; the chart carries what is written."""
