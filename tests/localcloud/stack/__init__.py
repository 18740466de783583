"""Reads template.yaml: functions, routes, rules, schedules."""
