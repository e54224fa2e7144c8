/* SPDX-License-Identifier: MIT */
/* Log lines: see log.h. */
#include <config.h>

#include "hakmemd/log.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define LOG_LINE_MAX    512
#define LOG_LIMIT_NSEC  (10 * NSEC_PER_SEC)
#define LOG_LIMIT_LINES 20

/* systemd sets $JOURNAL_STREAM to the device and inode of the stream that it connected to the journal. */
static bool log_to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
		st.st_dev == device && st.st_ino == inode;
}

static void log_line(int priority, const char *format, va_list arguments) PRINTF(2, 0);

static void log_line(int priority, const char *format, va_list arguments)
{
	char line[LOG_LINE_MAX];
	int saved_errno = errno;

	vsnprintf(line, sizeof line, format, arguments);
	if (log_to_journal())
		sd_journal_send("MESSAGE=%s", line, "PRIORITY=%i", priority, NULL);
	else
		fprintf(stderr, "hakmemd: %s\n", line);
	errno = saved_errno;
}

#define LOG_FUNCTION(name, priority)                                                                          \
	void name(const char *format, ...)                                                                    \
	{                                                                                                     \
		va_list arguments;                                                                            \
                                                                                                              \
		va_start(arguments, format);                                                                  \
		log_line(priority, format, arguments);                                                        \
		va_end(arguments);                                                                            \
	}

LOG_FUNCTION(log_error, LOG_ERR)
LOG_FUNCTION(log_warning, LOG_WARNING)
LOG_FUNCTION(log_info, LOG_INFO)

void log_debug(const char *format, ...)
{
	va_list arguments;

	if (!getenv("HAKMEMD_DEBUG"))
		return;
	va_start(arguments, format);
	log_line(LOG_DEBUG, format, arguments);
	va_end(arguments);
}

void log_flush(const struct log_flush *flush, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (!log_to_journal()) {
		fprintf(stderr, "hakmemd: %s\n", line);
		return;
	}
	sd_journal_send("MESSAGE=%s", line, "PRIORITY=%i", LOG_INFO, "HAKMEM_PID=%i", flush->pid,
		"HAKMEM_COMM=%s", flush->comm, "HAKMEM_LEVEL=%u", flush->level, "HAKMEM_REASON=%s", flush->reason,
		"HAKMEM_CLAIMED_BYTES=%llu", (unsigned long long)flush->claimed_bytes, "TRIMMED_BYTES=%llu",
		(unsigned long long)flush->actual_bytes, "TRIMMED_USEC=%llu", (unsigned long long)flush->usec, NULL);
}

bool log_allowed(struct log_limit *limit)
{
	uint64_t now_nsec = util_now_nsec();

	if (!limit->since_nsec || now_nsec - limit->since_nsec >= LOG_LIMIT_NSEC) {
		if (limit->n_dropped)
			log_warning("%u lines about misbehaving peers were left out", limit->n_dropped);
		*limit = (struct log_limit){.since_nsec = now_nsec};
	}
	if (limit->n_lines++ < LOG_LIMIT_LINES)
		return true;
	limit->n_dropped++;
	return false;
}
