/*
 * test_limits_together.c: does a program do under several limits what it does without the library?
 *
 * Combinations of RLIMIT_AS, DATA, STACK, MEMLOCK, NOFILE, NPROC, FSIZE and of cgroup limits of
 * memory and pids, from very little up, the program without privileges; bare against preloaded:
 * same output line by line, same status. Between the two lies a band: what the library's own
 * segments take (BAND_KIB of address space and private memory), and one process, the collector. So
 * a line may also be what it is bare with limits that are lower by the band. The dynamic linker's
 * line, where the library does not fit, and our one line, where nothing could be recorded, may come
 * on top on standard error.
 */
#include "tests/e2e/harness.h"
#include "tests/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BAND_KIB 2048
#define UNLIMITED (-1)
#define STEPS 17 /* bare runs: with the limits, and lower, down to the band's end */

enum limit { AS, DATA, STACK, MEMLOCK, NOFILE, NPROC, FSIZE, MEMORY, PIDS, LIMITS };

/* KiB, or a number; FSIZE in blocks of 512 bytes. */
static const struct {
	char letter; /* the shell's; 0: of a cgroup */
	long values[8];
} limits[LIMITS] = {
    [AS] = {'v', {UNLIMITED, 1000, 4000, 8000, 16000, 30000, 60000, 200000}},
    [DATA] = {'d', {UNLIMITED, 0, 500, 2000, 8000, 20000, 50000, 100000}},
    [STACK] = {'s', {UNLIMITED, 128, 256, 1024, 8192, 65536, 128, 256}},
    [MEMLOCK] = {'l', {UNLIMITED, 0, 64, 2048, 4000, 6000, 8192, 64}},
    [NOFILE] = {'n', {UNLIMITED, 3, 4, 5, 6, 8, 10, 20}},
    [NPROC] = {'p', {UNLIMITED, 1, 2, 3, 5, 10, 100, 1000}},
    [FSIZE] = {'f', {UNLIMITED, 0, 8, 16, 64, 1000, 20000, 8}},
    [MEMORY] = {0, {UNLIMITED, 16384, 32768, 65536, 131072, UNLIMITED, UNLIMITED, UNLIMITED}},
    [PIDS] = {0, {UNLIMITED, 3, 4, 5, 10, 100, UNLIMITED, UNLIMITED}},
};

static char memory_cgroup[128];
static char pids_cgroup[128];

struct combination {
	long values[LIMITS];
};

static bool
make_cgroup(char *path, size_t room, const char *hierarchy)
{
	snprintf(path, room, "%s/vmtrace-test-%d", hierarchy, getpid());
	if (mkdir(path, 0755) == 0)
		return true;
	path[0] = '\0';
	return false;
}

/* The commands that set one. Without a cgroup of the kind there is nothing to set. */
static void
add_limit(char *script, size_t room, enum limit limit, long value)
{
	size_t used = strlen(script);

	if (value == UNLIMITED)
		return;
	if (limits[limit].letter)
		snprintf(script + used, room - used, "ulimit -S -%c %ld; ", limits[limit].letter,
			 value);
	else if (limit == MEMORY && memory_cgroup[0])
		snprintf(script + used, room - used,
			 "echo %ld > %s/memory.limit_in_bytes; echo $$ > %s/cgroup.procs; ",
			 value * 1024, memory_cgroup, memory_cgroup);
	else if (limit == PIDS && pids_cgroup[0])
		snprintf(script + used, room - used,
			 "echo %ld > %s/pids.max; echo $$ > %s/cgroup.procs; ", value, pids_cgroup,
			 pids_cgroup);
}

/* Until the collector of the run before has left: it counts there. */
static void
wait_until_empty(const char *cgroup)
{
	int64_t deadline = now_ms() + 30000;
	char path[256];
	int pid;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	for (bool found = cgroup[0] != '\0'; found;) {
		FILE *file = fopen(path, "re");

		assert_non_null(file);
		found = fscanf(file, "%d", &pid) == 1;
		fclose(file);
		assert_true(now_ms() < deadline);
		if (found)
			usleep(1000);
	}
}

/* Whoever has all privileges gives them up, and becomes a user that nobody else is: RLIMIT_NPROC
 * counts a user's processes, also those of other tests and the collector of the run before. */
static void
print_user(char *text, size_t room)
{
	static int runs;
	int user = 20000 + (getpid() + runs++) % 40000;

	text[0] = '\0';
	if (geteuid() == 0)
		snprintf(text, room,
			 "setpriv --reuid=%d --regid=%d --clear-groups --inh-caps=-all "
			 "--bounding-set=-all",
			 user, user);
}

/* Cgroups first, while the shell has leave; then away from all privileges; then the limits, so that
 * they are this program's alone. */
static void
run_under(struct run *run, const struct combination *combination, bool preload)
{
	char outer[2048] = "";
	char inner[2048] = "";
	char user[128];
	char whole[4608];
	const char *argv[] = {"sh", "-c", whole, NULL};

	wait_until_empty(memory_cgroup);
	wait_until_empty(pids_cgroup);
	add_limit(outer, sizeof(outer), MEMORY, combination->values[MEMORY]);
	add_limit(outer, sizeof(outer), PIDS, combination->values[PIDS]);
	for (int i = AS; i <= FSIZE; i++)
		add_limit(inner, sizeof(inner), (enum limit)i, combination->values[i]);
	print_user(user, sizeof(user));
	unlink(scratch_file("written")); /* those of the user before */
	unlink(scratch_file("limited.vmt"));
	snprintf(whole, sizeof(whole), "%sexec %s sh -c '%s%s exec %s %s'", outer, user, inner,
		 preload ? "LD_PRELOAD=$OURS VMTRACE_OUTPUT=$TRACE" : "",
		 built_for_others("tests/target/limited"), scratch_file("written"));
	run_program(run, argv,
		    (const char *const[]){variable("OURS", built_for_others("libvmtrace.so")),
					  variable("TRACE", scratch_file("limited.vmt")), NULL});
}

static void
describe(const struct combination *combination, char *text, size_t room)
{
	static const char *const names[LIMITS] = {"AS",	   "DATA",  "STACK",  "MEMLOCK", "NOFILE",
						  "NPROC", "FSIZE", "memory", "pids"};

	text[0] = '\0';
	for (int i = 0; i < LIMITS; i++) {
		size_t used = strlen(text);

		if (combination->values[i] != UNLIMITED)
			snprintf(text + used, room - used, "%s=%ld ", names[i],
				 combination->values[i]);
	}
}

/* Not to 0: the kernel takes an RLIMIT_DATA of 0 for none (mm/mmap.c, may_expand_vm). */
static long
lower(long value, long by)
{
	if (value == UNLIMITED || value == 0 || by == 0)
		return value;
	return value > by ? value - by : 1;
}

/* One line of a text; an empty one behind its end. */
static const char *
take_line(const char **text, char *line, size_t room)
{
	size_t length = strcspn(*text, "\n");

	snprintf(line, room, "%.*s", (int)length, *text);
	*text += length + ((*text)[length] == '\n');
	return line;
}

/* Whether a line stands at this place (0, 1 ...) of a text. */
static bool
has_line(const char *text, int place, const char *line)
{
	char found[256] = "";

	for (int i = 0; i <= place; i++)
		take_line(&text, found, sizeof(found));
	return strcmp(found, line) == 0;
}

/* Each line is that of one of the bare runs, in the same place. */
static bool
is_between(const char *text, const struct run *bare, bool err)
{
	char line[256];

	for (int place = 0; *text; place++) {
		bool found = false;

		take_line(&text, line, sizeof(line));
		for (int i = 0; i < STEPS && !found; i++)
			found = has_line(err ? bare[i].err : bare[i].out, place, line);
		if (!found)
			return false;
	}
	return true;
}

/* Takes out what may come on top. */
static void
strip(char *text)
{
	char *to = text;
	const char *from = text;

	while (*from) {
		size_t length = strcspn(from, "\n") + 1;
		bool ours = strncmp(from, "ERROR: ld.so: object", 20) == 0 ||
			    strncmp(from, "vmtrace: not recording", 22) == 0;

		if (!from[length - 1])
			length--;
		if (!ours)
			memmove(to, from, length);
		to += ours ? 0 : length;
		from += length;
	}
	*to = '\0';
}

/* Within the band the program may have room for itself alone, and the dynamic linker says so. */
static bool
does_not_start(const struct run *run)
{
	return run->exit_status == 127 &&
	       says(run->err, "error while loading shared libraries") != NULL;
}

/* A combination, lowered by a part of the band. */
static struct combination
lowered(const struct combination *combination, int step)
{
	struct combination result = *combination;

	result.values[AS] = lower(result.values[AS], step * BAND_KIB / (STEPS - 1));
	result.values[DATA] = lower(result.values[DATA], step * BAND_KIB / (STEPS - 1));
	result.values[NPROC] = lower(result.values[NPROC], step != 0);
	result.values[PIDS] = lower(result.values[PIDS], step != 0);
	return result;
}

static bool
is_one_of(const struct run *run, const struct run *bare)
{
	for (int i = 0; i < STEPS; i++) {
		if (run->wait_status == bare[i].wait_status)
			return true;
		if (does_not_start(run) && bare[i].wait_status != 0)
			return true;
	}
	return false;
}

static void
compare_with_band(const struct combination *combination, const struct run *run)
{
	struct run bare[STEPS];
	char what[256];

	for (int i = 0; i < STEPS; i++) {
		struct combination step = lowered(combination, i);

		run_under(&bare[i], &step, false);
	}
	describe(combination, what, sizeof(what));
	if (!is_one_of(run, bare))
		fail_msg("%s: status %x, bare %x: %s", what, (unsigned)run->wait_status,
			 (unsigned)bare[0].wait_status, run->err);
	if (!does_not_start(run) &&
	    (!is_between(run->out, bare, false) || !is_between(run->err, bare, true)))
		fail_msg("%s:\npreloaded\n%s%s\nbare\n%s%s\nwith the band\n%s%s", what, run->out,
			 run->err, bare[0].out, bare[0].err, bare[STEPS - 1].out,
			 bare[STEPS - 1].err);
	for (int i = 0; i < STEPS; i++)
		run_free(&bare[i]);
}

static void
compare(const struct combination *combination)
{
	struct run bare, run;

	run_under(&bare, combination, false);
	run_under(&run, combination, true);
	strip(run.err);
	if (run.wait_status != bare.wait_status || strcmp(run.out, bare.out) != 0 ||
	    strcmp(run.err, bare.err) != 0)
		compare_with_band(combination, &run);
	run_free(&bare);
	run_free(&run);
}

/* Each limit alone at each of its values, then combinations: every limit is in one of two. */
static struct combination
choose(long number)
{
	struct combination combination;

	for (int i = 0; i < LIMITS; i++)
		combination.values[i] = UNLIMITED;
	for (int i = 0; i < LIMITS; i++)
		if (rand() % 2)
			combination.values[i] = limits[i].values[rand() % 8];
	if (number < LIMITS * 2) {
		int limit = (int)(number % LIMITS);

		for (int i = 0; i < LIMITS; i++)
			combination.values[i] = UNLIMITED;
		combination.values[limit] = limits[limit].values[1 + rand() % 7];
	}
	return combination;
}

static void
limits_together_mean_what_they_mean_bare(void **state)
{
	long count = soak_count(40, 500);

	(void)state;
	assert_int_equal(chdir(scratch()), 0);
	(void)make_cgroup(memory_cgroup, sizeof(memory_cgroup), "/sys/fs/cgroup/memory");
	(void)make_cgroup(pids_cgroup, sizeof(pids_cgroup), "/sys/fs/cgroup/pids");
	srand(11);
	for (long i = 0; i < count; i++) {
		struct combination combination = choose(i);

		compare(&combination);
	}
}

/* Else the rest would compare two programs that did nothing. */
static void
all_is_done_without_limits(void **state)
{
	struct combination none;
	struct run run;

	(void)state;
	assert_int_equal(chdir(scratch()), 0);
	for (int i = 0; i < LIMITS; i++)
		none.values[i] = UNLIMITED;
	run_under(&run, &none, false);
	assert_string_equal(run.out, "lock all done\nblocks 4\n16 MiB done\nlock done\n"
				     "thread done\nchild done\npages 8\nfiles 6\n");
	assert_string_equal(run.err, "");
	run_free(&run);
	compare(&none);
}

/* Collectors that still write leave within a moment. */
static void
remove_cgroup(const char *cgroup)
{
	if (cgroup[0] == '\0')
		return;
	wait_until_empty(cgroup);
	assert_int_equal(rmdir(cgroup), 0);
}

static int
remove_cgroups(void **state)
{
	(void)state;
	remove_cgroup(memory_cgroup);
	remove_cgroup(pids_cgroup);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_is_done_without_limits),
	    cmocka_unit_test_teardown(limits_together_mean_what_they_mean_bare, remove_cgroups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
