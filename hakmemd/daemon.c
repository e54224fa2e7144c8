/* SPDX-License-Identifier: MIT */
/* The daemon: see daemon.h. */
#include <config.h>

#include "hakmemd/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "hakmemd/log.h"
#include "hakmemd/text.h"
#include "hakmemd/util.h"

#define DAEMON_LOCK "lock"
#define DAEMON_LOCK_PATIENCE (2 * NSEC_PER_SEC)
#define DAEMON_LOCK_STEP     (20 * NSEC_PER_MSEC)

/* ---- command line ---- */

static const struct daemon_option {
	const char *name;
	const char *argument; /* NULL = takes none */
	const char *help;
} daemon_option_table[] = {
	{"config", "FILE", "read FILE instead of " DAEMON_CONFIG},
	{"runtime-dir", "DIR", "sockets and board in DIR ($HAKMEM_RUNTIME_DIR, else " HKP_RUNTIME_DIR ")"},
	{"mode", "MODE", "act or observe, whatever the configuration says"},
	{"record", "FILE", "write what the policy sees and says to FILE, as JSON lines"},
	{"help", NULL, "print this and every configuration key"},
	{"version", NULL, "print the version"},
};

static void daemon_help(void)
{
	char option[64];

	printf("Usage: hakmemd [OPTION]...\n"
	       "Watch memory pressure and have processes on libhakmem give memory back.\n\nOptions:\n");
	for (size_t i = 0; i < ARRAY_SIZE(daemon_option_table); i++) {
		const struct daemon_option *row = &daemon_option_table[i];

		snprintf(option, sizeof option, "--%s%s%s", row->name, row->argument ? " " : "",
			row->argument ? row->argument : "");
		printf("  %-20s %s\n", option, row->help);
	}
	printf("\nConfiguration, with defaults:\n");
	config_print_keys(stdout);
	printf("\nExit status: 0 stopped by a signal, 1 failed, 2 wrong usage.\n");
}

static int daemon_usage(const char *wrong)
{
	const char *names[ARRAY_SIZE(daemon_option_table)], *nearest = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(daemon_option_table); i++)
		names[i] = daemon_option_table[i].name;
	if (!strncmp(wrong, "--", 2))
		nearest = text_nearest(wrong + 2, names, ARRAY_SIZE(names));
	if (nearest)
		fprintf(stderr, "hakmemd: %s: wrong option, did you mean --%s?\n", wrong, nearest);
	else
		fprintf(stderr, "hakmemd: %s: not understood; hakmemd --help lists the options\n", wrong);
	return 2;
}

int daemon_parse(int argc, char **argv, struct daemon_options *ret_options)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"runtime-dir", required_argument, NULL, 'r'}, {"mode", required_argument, NULL, 'm'},
		{"record", required_argument, NULL, 'R'}, {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
	const char *env = secure_getenv("HAKMEM_RUNTIME_DIR");
	int option;

	*ret_options = (struct daemon_options){.runtime_dir = env && *env ? env : HKP_RUNTIME_DIR};
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 'c':
			ret_options->config_path = optarg;
			break;
		case 'r':
			ret_options->runtime_dir = optarg;
			break;
		case 'm':
			ret_options->mode = optarg;
			break;
		case 'R':
			ret_options->record_path = optarg;
			break;
		case 'h':
			daemon_help();
			return 0;
		case 'V':
			printf("hakmemd %s\n", DAEMON_VERSION);
			return 0;
		default:
			return daemon_usage(argv[optind - 1]);
		}
	return optind < argc ? daemon_usage(argv[optind]) : -1;
}

/* ---- configuration ---- */

struct daemon_complaints {
	char *text;
	size_t size;
};

static void daemon_complain(void *data, const char *line)
{
	struct daemon_complaints *complaints = data;
	size_t length;

	log_error("%s", line);
	if (!complaints)
		return;
	length = strlen(complaints->text);
	snprintf(complaints->text + length, complaints->size - length, "%s%s", length ? "; " : "", line);
}

static const char *daemon_config_path(const struct daemon_options *options)
{
	return options->config_path ? options->config_path : DAEMON_CONFIG;
}

static int daemon_configure(
	const struct daemon_options *options, struct daemon_complaints *complaints, struct config *ret_config)
{
	int r = config_load(daemon_config_path(options), options->config_path != NULL, daemon_complain, complaints, ret_config);

	if (r < 0 || !options->mode)
		return r;
	r = config_mode_from_name(options->mode, &ret_config->mode);
	if (r < 0)
		log_error("--mode %s: act or observe", options->mode);
	return r;
}

int daemon_reload(struct daemon *daemon, char *ret_complaints, size_t size)
{
	struct daemon_complaints complaints = {ret_complaints, size};
	struct config config;
	int r;

	*ret_complaints = '\0';
	notify_reloading();
	r = daemon_configure(&daemon->options, &complaints, &config);
	if (r < 0)
		log_error("the new configuration is wrong: the one in force stays");
	else {
		daemon->config = config;
		record_config(&daemon->record, "reload", daemon_config_path(&daemon->options));
		ctl_find_group(&daemon->ctl);
		registry_exclude(&daemon->registry);
		daemon->controller.looked_nsec = 0;
		controller_wake(&daemon->controller);
		log_info("configuration read anew");
	}
	notify_ready(r < 0 ? "running; the last reload failed" : "running");
	return r;
}

/* ---- runtime directory ---- */

static int daemon_make_dir(struct daemon *daemon)
{
	struct stat st;

	if (mkdir(daemon->runtime_dir, 0755) == 0) {
		daemon->made_runtime_dir = true;
		return chmod(daemon->runtime_dir, 0755) < 0 ? -errno : 0;
	}
	if (errno != EEXIST)
		return -errno;
	if (stat(daemon->runtime_dir, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* A daemon that was killed holds its lock until the kernel has taken it apart, which lasts some milliseconds. */
static int daemon_flock(int fd)
{
	const struct timespec pause = {.tv_nsec = (long)(DAEMON_LOCK_STEP)};

	for (uint64_t waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += DAEMON_LOCK_STEP) {
		if (errno != EWOULDBLOCK || waited >= DAEMON_LOCK_PATIENCE)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* One daemon per directory.  A lock file that its last owner removed while we waited is no lock. */
static int daemon_lock(struct daemon *daemon)
{
	char path[PATH_MAX];
	struct stat held, there;
	int r;

	if (snprintf(path, sizeof path, "%s/" DAEMON_LOCK, daemon->runtime_dir) >= (int)sizeof path)
		return -ENAMETOOLONG;
	for (;;) {
		util_close(&daemon->lock_fd);
		daemon->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (daemon->lock_fd < 0)
			return -errno;
		r = daemon_flock(daemon->lock_fd);
		if (r < 0)
			return r;
		if (fstat(daemon->lock_fd, &held) == 0 && stat(path, &there) == 0 &&
			held.st_ino == there.st_ino && held.st_dev == there.st_dev)
			return 0;
	}
}

static int daemon_claim_dir(struct daemon *daemon)
{
	int r = daemon_make_dir(daemon);

	if (r < 0) {
		log_error("%s: %s (choose another with --runtime-dir)", daemon->runtime_dir, strerror(-r));
		return r;
	}
	r = daemon_lock(daemon);
	if (r == -EWOULDBLOCK)
		log_error("%s: another hakmemd is running there", daemon->runtime_dir);
	else if (r < 0)
		log_error("%s/" DAEMON_LOCK ": %s", daemon->runtime_dir, strerror(-r));
	if (r < 0)
		util_close(&daemon->lock_fd);
	return r;
}

/*
 * Tell the processes not to come: a socket that the service manager keeps open would have them start us again at
 * once.  A daemon that made its directory takes its sockets with it and needs none of this.
 */
static void daemon_mark_stopped(const struct daemon *daemon, bool stopped)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof path, "%s/" HKP_STOPPED_FILE, daemon->runtime_dir) >= (int)sizeof path)
		return;
	if (!stopped)
		unlink(path);
	else if (daemon->activated && (fd = open(path, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644)) >= 0) {
		(void)fchmod(fd, 0644);
		close(fd);
	}
}

static void daemon_release_dir(struct daemon *daemon)
{
	char path[PATH_MAX];

	if (daemon->lock_fd >= 0) {
		snprintf(path, sizeof path, "%s/" DAEMON_LOCK, daemon->runtime_dir);
		unlink(path);
		util_close(&daemon->lock_fd);
	}
	if (daemon->made_runtime_dir)
		rmdir(daemon->runtime_dir); /* fails where somebody else put something into it: right so */
}

/* ---- life ---- */

static void daemon_stop(void *data)
{
	struct daemon *daemon = data;

	notify_stopping();
	daemon_mark_stopped(daemon, true); /* before anybody is sent away and looks */
	server_say_bye(&daemon->server, HKP_BYE_STOPPED, (uint32_t)(daemon->config.stay_away_nsec / NSEC_PER_SEC));
	loop_stop(daemon->loop);
}

static void daemon_hup(void *data)
{
	char complaints[1024];

	(void)daemon_reload(data, complaints, sizeof complaints);
}

static int daemon_watch_signals(struct daemon *daemon)
{
	int r;

	signal(SIGPIPE, SIG_IGN);
	r = loop_signal_new(daemon->loop, SIGTERM, daemon_stop, daemon, &daemon->signals[0]);
	if (r >= 0)
		r = loop_signal_new(daemon->loop, SIGINT, daemon_stop, daemon, &daemon->signals[1]);
	if (r >= 0)
		r = loop_signal_new(daemon->loop, SIGHUP, daemon_hup, daemon, &daemon->signals[2]);
	return r;
}

/* Three descriptors per client: as many as we may have. */
static void daemon_raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* A buffer for a peer that does not read comes and goes as a mapping: once freed, glibc would move the limit up. */
static void daemon_keep_small(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 128 << 10);
	(void)mallopt(M_TRIM_THRESHOLD, 128 << 10);
}

static int daemon_step(int r, const char *what)
{
	if (r < 0)
		log_error("%s: %s", what, strerror(-r));
	return r;
}

static int daemon_start(struct daemon *daemon)
{
	struct notify_sockets given;
	int r = daemon_claim_dir(daemon);

	if (r < 0)
		return r;
	daemon_raise_limits();
	daemon_keep_small();
	if (daemon->options.record_path &&
		(r = daemon_step(record_open(&daemon->record, daemon->options.record_path,
					 daemon_config_path(&daemon->options)),
			 daemon->options.record_path)) < 0)
		return r;
	if ((r = daemon_step(notify_sockets(&given), "sockets of the service manager")) < 0 ||
		(r = daemon_step(loop_new(&daemon->loop), "event loop")) < 0 ||
		(r = daemon_step(board_init(&daemon->board, daemon->runtime_dir), "board")) < 0 ||
		(r = daemon_step(registry_init(&daemon->registry, daemon), "registry")) < 0 ||
		(r = daemon_step(controller_init(&daemon->controller, daemon), "controller")) < 0 ||
		(r = daemon_step(ctl_init(&daemon->ctl, daemon), "control")) < 0 ||
		(r = server_init(&daemon->server, daemon, &given)) < 0 ||
		(r = daemon_step(metrics_init(&daemon->metrics, daemon, given.metrics), "metrics")) < 0 ||
		(r = daemon_step(daemon_watch_signals(daemon), "signals")) < 0 ||
		(r = daemon_step(notify_init(&daemon->notify, daemon->loop), "watchdog")) < 0)
		return r;
	daemon->activated = given.client >= 0;
	daemon_mark_stopped(daemon, false);
	return 0;
}

static void daemon_end(struct daemon *daemon)
{
	if (daemon->loop) {
		notify_deinit(&daemon->notify);
		for (size_t i = 0; i < ARRAY_SIZE(daemon->signals); i++)
			loop_signal_free(daemon->signals[i]);
		metrics_deinit(&daemon->metrics);
		registry_deinit(&daemon->registry); /* its clients leave the server's set */
		server_deinit(&daemon->server);
		ctl_deinit(&daemon->ctl);
		controller_deinit(&daemon->controller);
		board_deinit(&daemon->board);
		loop_free(daemon->loop);
	}
	record_close(&daemon->record);
	daemon_release_dir(daemon);
}

int daemon_main(const struct daemon_options *options)
{
	struct daemon *daemon = calloc(1, sizeof *daemon);
	int r;

	if (!daemon) {
		log_error("cannot start: %s", strerror(ENOMEM));
		return 1;
	}
	daemon->options = *options;
	daemon->runtime_dir = options->runtime_dir;
	daemon->lock_fd = daemon->board.read_fd = daemon->server.spare_fd = daemon->metrics.listen_fd = -1;
	daemon->server.client.fd = daemon->server.control.fd = -1;
	TAILQ_INIT(&daemon->ctl.connections);
	daemon->started_nsec = util_now_nsec();
	r = daemon_configure(options, NULL, &daemon->config);
	if (r >= 0)
		r = daemon_start(daemon);
	if (r >= 0) {
		log_info("version %s, mode %s, sockets in %s", DAEMON_VERSION,
			config_mode_name(daemon->config.mode), daemon->runtime_dir);
		notify_ready("running");
		r = daemon_step(loop_run(daemon->loop), "event loop");
		log_info("stopped");
	}
	daemon_end(daemon);
	free(daemon);
	return r < 0 ? 1 : 0;
}
