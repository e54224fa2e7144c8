/* SPDX-License-Identifier: MIT */
/* The stats reader: the input is what a registered process's segment holds, and everything that reports it reads it. */
#include <config.h>

#include <fcntl.h>
#include <unistd.h>

#include "hakmemd/metrics.h"
#include "hakmemd/report.h"
#include "hakmemd/util.h"
#include "protocol/stats.h"
#include "tests/fuzz/daemon.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_dump(json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	FUZZ_HOLDS(text && !strstr(text, ":-")); /* no figure is negative */
	free(text);
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_client client = {-1, -1};
	struct daemon *daemon = fuzz_daemon();
	const char *why;
	char *metrics;
	int fd;

	fd = fuzz_segment(data, size);
	if (client_check_stats(fd, &why) < 0)
		FUZZ_HOLDS(strlen(why) > 0);
	close(fd);
	if (client.socket < 0)
		client = fuzz_register(daemon);
	FUZZ_HOLDS(pwrite(client.segment, data, util_min(size, HKP_STATS_BYTES), 0) >= 0);
	fuzz_dump(report_processes(daemon, 0, true, REPORT_CLASSES, getpid()));
	fuzz_dump(report_processes(daemon, 1, false, REPORT_FULL, 0));
	fuzz_dump(report_explain(daemon->registry.clients[0]));
	fuzz_dump(report_status(daemon, 0, true));
	metrics = metrics_text(daemon);
	FUZZ_HOLDS(metrics && !strstr(metrics, "nan") && !strstr(metrics, " -"));
	free(metrics);
	loop_timer_set(daemon->controller.tick, 0);
	fuzz_turn(daemon, 1);
	FUZZ_HOLDS(daemon->registry.n_ready == 1);
	for (unsigned level = 0; level < POLICY_N_LEVELS; level++)
		FUZZ_HOLDS(policy_expected_bytes(&daemon->registry.clients[0]->policy, level) <= UINT64_C(1) << 60);
	return 0;
}
