/* SPDX-License-Identifier: MIT */
/*
 * hakmemctl top: what processes hold and could give back, live.
 *
 * Plain ANSI on whatever size the terminal has; 80 by 24 suffice.  Without a terminal, or with --once, it prints one
 * screen with every process and ends.
 */
#include <config.h>

#include "hakmemctl/ctl.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "hakmemd/text.h"
#include "hakmemd/util.h"

#define TOP_WIDTH  80
#define TOP_HEAD   5 /* lines above the processes */
#define TOP_FOOT   1

static const struct {
	char key;
	const char *name;  /* of --sort */
	const char *field; /* in a process's object; the largest first */
} top_sorts[] = {
	{'f', "free", "releasable_bytes"},
	{'r', "rss", "rss_bytes"},
	{'u', "used", "used_bytes"},
	{'i', "idle", "idle_seconds"},
	{'b', "back", "returned_bytes"},
	{'p', "pid", "pid"},
};

static size_t top_sort;                     /* index above; qsort takes no argument along */
static volatile sig_atomic_t top_stopped;   /* a signal asked to end */
static struct termios top_terminal;         /* as it was */

static int top_compare(const void *a, const void *b)
{
	double left = ctl_real(*(json_t *const *)a, top_sorts[top_sort].field);
	double right = ctl_real(*(json_t *const *)b, top_sorts[top_sort].field);

	return left < right ? 1 : left > right ? -1 : 0;
}

/* One line of the screen, cut to its width. */
static void top_line(FILE *out, bool live, size_t width, const char *format, ...) __attribute__((format(printf, 4, 5)));

static void top_line(FILE *out, bool live, size_t width, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (width < sizeof text)
		text[width] = '\0';
	fprintf(out, "%s%s\n", text, live ? "\033[K" : "");
}

/* The domain under the highest pressure, the host's apart. */
static const json_t *top_worst(const json_t *domains)
{
	static const char *const names[] = {"calm", "low", "medium", "critical"};
	const json_t *domain, *worst = NULL;
	size_t i, level, highest = 0;

	json_array_foreach(domains, i, domain)
		for (level = 1; level < ARRAY_SIZE(names); level++)
			if (!strcmp(ctl_text(domain, "level"), names[level]) && level > highest &&
				strcmp(ctl_text(domain, "path"), "host") != 0) {
				highest = level;
				worst = domain;
			}
	return worst;
}

static const char *top_host_level(const json_t *domains)
{
	const json_t *domain;
	size_t i;

	json_array_foreach(domains, i, domain)
		if (!strcmp(ctl_text(domain, "path"), "host"))
			return ctl_text(domain, "level");
	return "calm";
}

static void top_head(FILE *out, bool live, size_t width, const json_t *status)
{
	const json_t *totals = json_object_get(status, "totals"), *flushes = json_object_get(status, "flushes");
	const json_t *domains = json_object_get(status, "domains"), *worst = top_worst(domains);
	char used[32], releasable[32], mapped[32], returned[32], up[32];

	top_line(out, live, width, "hakmemd %s  up %s  mode %s%s  host %s", ctl_text(status, "version"),
		text_duration(ctl_real(status, "uptime_seconds"), up, sizeof up), ctl_text(status, "mode"),
		json_is_true(json_object_get(status, "paused")) ? " (paused)" : "", top_host_level(domains));
	top_line(out, live, width, "processes %" PRIu64 ": %s mapped, %s used, %s could come back",
		ctl_number(totals, "processes"), text_bytes(ctl_number(totals, "mapped_bytes"), mapped, sizeof mapped),
		text_bytes(ctl_number(totals, "used_bytes"), used, sizeof used),
		text_bytes(ctl_number(totals, "releasable_bytes"), releasable, sizeof releasable));
	top_line(out, live, width,
		"flushes: %" PRIu64 " pressure, %" PRIu64 " idle, %" PRIu64 " on request, %" PRIu64 " unanswered; %s came back",
		ctl_number(flushes, "pressure"), ctl_number(flushes, "idle"), ctl_number(flushes, "request"),
		ctl_number(flushes, "timeouts"), text_bytes(ctl_number(flushes, "returned_bytes"), returned, sizeof returned));
	if (worst)
		top_line(out, live, width, "pressure: %s in %s", ctl_text(worst, "level"), ctl_text(worst, "path"));
	else
		top_line(out, live, width, "pressure: none in any cgroup");
	top_line(out, live, width, "%s%7s %-11s %9s %9s %9s %6s %4s %9s %s%s", live ? "\033[7m" : "", "PID", "COMMAND", "RSS",
		"USED", "FREE", "IDLE", "ASKD", "CAME BACK", "LAST", live ? "\033[0m" : "");
}

static void top_process(FILE *out, bool live, size_t width, const json_t *process)
{
	const json_t *last = json_object_get(process, "last_flush");
	char rss[32], used[32], releasable[32], idle[32], back[32];

	top_line(out, live, width, "%7" PRIu64 " %-11.11s %9s %9s %9s %6.6s %4" PRIu64 " %9s %s", ctl_number(process, "pid"),
		ctl_text(process, "comm"), text_bytes(ctl_number(process, "rss_bytes"), rss, sizeof rss),
		text_bytes(ctl_number(process, "used_bytes"), used, sizeof used),
		text_bytes(ctl_number(process, "releasable_bytes"), releasable, sizeof releasable),
		text_duration(ctl_real(process, "idle_seconds"), idle, sizeof idle), ctl_number(process, "asked_flushes"),
		text_bytes(ctl_number(process, "returned_bytes"), back, sizeof back),
		json_is_object(last) ? ctl_text(last, "reason") : "-");
}

static json_t **top_sorted(const json_t *list, size_t *ret_n)
{
	size_t n = json_array_size(list);
	json_t **sorted = calloc(n + 1, sizeof *sorted);

	for (size_t i = 0; sorted && i < n; i++)
		sorted[i] = json_array_get(list, i);
	if (sorted)
		qsort(sorted, n, sizeof *sorted, top_compare);
	*ret_n = sorted ? n : 0;
	return sorted;
}

/* One screen of `height` lines, or all processes where it is 0. */
static void top_show(FILE *out, const json_t *status, const json_t *list, size_t width, size_t height)
{
	const json_t *others = json_object_get(list, "others");
	size_t n, shown;
	json_t **sorted = top_sorted(json_object_get(list, "processes"), &n);
	bool live = height != 0;

	shown = live && n > height - TOP_HEAD - TOP_FOOT ? height - TOP_HEAD - TOP_FOOT : n;
	if (live)
		fputs("\033[H", out);
	top_head(out, live, width, status);
	for (size_t i = 0; i < shown; i++)
		top_process(out, live, width, sorted[i]);
	if (ctl_number(others, "processes") && (!live || shown < height - TOP_HEAD - TOP_FOOT))
		top_line(out, live, width, "        and %" PRIu64 " of other users", ctl_number(others, "processes"));
	if (live)
		fprintf(out, "\033[J\033[%zu;1H%.*s", height, (int)width,
			"sort: f free  r rss  u used  i idle  b came back  p pid    q quit");
	free(sorted);
	fflush(out);
}

/* ---- the terminal ---- */

static void top_on_signal(int signal)
{
	(void)signal;
	top_stopped = 1;
}

static void top_leave(void)
{
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &top_terminal);
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
}

static bool top_enter(void)
{
	struct sigaction action = {.sa_handler = top_on_signal}; /* no SA_RESTART: poll is to end */
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &top_terminal) < 0)
		return false;
	raw = top_terminal;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
	fputs("\033[?1049h\033[?25l\033[2J", stdout);
	return true;
}

/* Wait for a key or the interval; false where the user wants to go. */
static bool top_wait(double seconds)
{
	struct pollfd poll_fd = {.fd = STDIN_FILENO, .events = POLLIN};
	char key;

	if (poll(&poll_fd, 1, (int)(seconds * 1000)) <= 0)
		return !top_stopped;
	if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q')
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(top_sorts); i++)
		if (top_sorts[i].key == key)
			top_sort = i;
	return true;
}

static int top_ask(const struct ctl_options *options, json_t **ret_status, json_t **ret_list)
{
	int r = ctl_call(options, "io.hakmem.Status", NULL, ret_status);

	if (r != CTL_OK)
		return r;
	r = ctl_call(options, "io.hakmem.List", NULL, ret_list);
	if (r != CTL_OK)
		json_decref(*ret_status);
	return r;
}

static int top_once(const struct ctl_options *options)
{
	json_t *status, *list, *object;
	int r = top_ask(options, &status, &list);

	if (r != CTL_OK)
		return r;
	if (options->json) {
		object = json_pack("{s:O, s:O}", "status", status, "list", list);
		ctl_print_json(object);
		json_decref(object);
	} else
		top_show(stdout, status, list, TOP_WIDTH * 2, 0);
	json_decref(status);
	json_decref(list);
	return CTL_OK;
}

static int top_live(const struct ctl_options *options)
{
	struct winsize size;
	json_t *status, *list;
	int r;

	/* Before the screen changes: what is wrong is to stay readable. */
	r = top_ask(options, &status, &list);
	if (r != CTL_OK)
		return r;
	if (!top_enter())
		return CTL_ERROR;
	do {
		if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row < TOP_HEAD + TOP_FOOT + 1 || !size.ws_col)
			size = (struct winsize){.ws_row = 24, .ws_col = TOP_WIDTH};
		top_show(stdout, status, list, size.ws_col, size.ws_row);
		json_decref(status);
		json_decref(list);
		status = list = NULL;
	} while (top_wait(options->interval_sec) && (r = top_ask(options, &status, &list)) == CTL_OK);
	top_leave();
	return r;
}

int verb_top(const struct ctl_options *options)
{
	const char *names[ARRAY_SIZE(top_sorts)], *nearest;

	for (size_t i = 0; i < ARRAY_SIZE(top_sorts); i++) {
		names[i] = top_sorts[i].name;
		if (options->sort && !strcmp(options->sort, names[i]))
			top_sort = i;
	}
	if (options->sort && strcmp(options->sort, top_sorts[top_sort].name) != 0) {
		nearest = text_nearest(options->sort, names, ARRAY_SIZE(names));
		ctl_complain("--sort %s: free, rss, used, idle, back or pid%s%s", options->sort, nearest ? "; did you mean " : "",
			nearest ? nearest : "");
		return CTL_USAGE;
	}
	if (options->once || options->json || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return top_once(options);
	return top_live(options);
}
