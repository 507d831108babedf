/*
 * harness.h: how does a test run the real command and read what it says?
 *
 * Runs programs with captured output, waits by their end or by what they print, never by time. All
 * memory is the test process's; a failed expectation fails the running cmocka test.
 */
#ifndef VMT_HARNESS_H
#define VMT_HARNESS_H

#include "tests/e2e/says.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>
#include <jansson.h>

struct run {
	int wait_status;
	int exit_status; /* -1: killed by a signal */
	char *out;
	size_t out_bytes;
	char *err;
	long peak_rss_kib;
};

/* Absolute path of a built file ("vmtrace", "libvmtrace.so", "tests/target/x"). Static buffers,
 * some of them: valid for the next eight calls. */
const char *built(const char *name);

/* The same, for a test that becomes another user: a copy in the scratch directory, as a home
 * directory may be closed to others. */
const char *built_for_others(const char *name);

/* Absolute path of a file of tests/e2e/scripts: what a test runs in another language. Valid for as
 * long as built's. The tests start in the sources' directory. */
const char *script_file(const char *name);

/* A fresh directory for the running test's files, removed at the program's end. */
const char *scratch(void);
const char *scratch_file(const char *name);

/* NAME=value, for an environment. Likewise valid for the next eight calls. */
const char *variable(const char *name, const char *value);

/* From now on programs of the system come before the scripts of version managers. */
void prefer_system_programs(void);
/* Skips the test, with a line that says so, where no such program is found. */
void need_program(const char *name);

/* Runs argv (NULL-terminated) to its end. environment: extra NAME=value strings or NULL. Unless it
 * says otherwise VMTRACE_EXIT_WAIT is 60s: figures are those of the very end, also where the
 * collector gets no CPU soon. A program that runs for longer than 300 s is killed and the test
 * fails. */
void run_program(struct run *run, const char *const argv[], const char *const environment[]);
void run_free(struct run *run);

/* A program with pipes on its standard input and output. */
struct conversation {
	pid_t pid;
	int to;	  /* its standard input */
	int from; /* its standard output */
	char line[65536];
};
void converse_start(struct conversation *talk, const char *const argv[],
		    const char *const environment[]);
/* Reads one line (without newline) into talk->line; fails the test at end of file. */
void converse_read_line(struct conversation *talk);
/* Closes its input, waits; returns the wait status. */
int converse_end(struct conversation *talk);

/* A line for sh, printf-like; fails the test where it does. */
__attribute__((format(printf, 1, 2))) void shell(const char *format, ...);

/* `vmtrace record -o trace [options] -- argv`, and `vmtrace report --format json trace`. */
void record(struct run *run, const char *trace, const char *const options[],
	    const char *const argv[]);
json_t *report(const char *trace, const char *const options[]);
/* `vmtrace snapshot --format json pid`, checked as every report. */
json_t *snapshot_report(pid_t pid);

/* NAME=value strings for a program that runs under the bare library. Static: valid until the next
 * call. */
const char *const *preloaded(const char *trace);

/* The trace of a process among those that match a pattern: the newest image of that pid. */
json_t *report_of_pid(const char *pattern, int64_t pid);

/* The lines of `vmtrace dump` of one kind of record ("event", "snapshot", "end" ...), in order. */
json_t *dump(const char *trace, const char *kind);

/* Milliseconds of a clock that never goes back, for deadlines. */
int64_t now_ms(void);

/* Members of a report; a missing one fails the test. */
int64_t number(json_t *object, const char *key);
json_t *member(json_t *object, const char *key);
/* The largest figure of a report's RSS line. */
int64_t peak_rss(json_t *report);
/* The row of a class, in a report or a diff. */
json_t *class_row(json_t *report, const char *name);
/* A figure of a class, 0 where the class is left out; that of its committed_bytes. */
int64_t class_figure(json_t *report, const char *name, const char *figure);
int64_t class_committed(json_t *report, const char *name);
/* A figure of all classes that a Go heap is told apart in, together. */
int64_t go_heap_figure(json_t *report, const char *figure);

/* The site whose innermost frames contain the function within `depth` frames and whose kind is kind
 * (NULL: any); NULL where there is none. Several: the first. */
json_t *find_site(json_t *report, const char *kind, const char *function, size_t depth);
/* Sum of a figure over all such sites. */
int64_t site_sum(json_t *report, const char *kind, const char *function, const char *figure);

/* What holds for every report: the identity, and no key of the schema missing. */
void check_report(json_t *report);

#endif
