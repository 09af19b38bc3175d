"""The worker and timetable doors: jobs by RQ, and what is due by the clock."""
