"""CronJob: a Job at each of the times of a schedule (`cronjob_controllerv2.go`).

`times` says which run is due and when the next one is, `plan` makes the Jobs and tidies up after them.
"""
