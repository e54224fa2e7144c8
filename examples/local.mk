# SPDX-License-Identifier: MIT
noinst_PROGRAMS += examples/peak
examples_peak_SOURCES = examples/peak.c
examples_peak_LDFLAGS = $(AM_LDFLAGS) -pthread
EXTRA_DIST += examples/grafana.json
