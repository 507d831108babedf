/*
 * test_same.c: do programs say and do the same, bare and under the library?
 *
 * Standard output, standard error and exit status of many everyday programs, byte for byte, in
 * every malloc mode in turn; and each trace that they left can be read.
 */
#include "tests/e2e/harness.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct everyday {
	const char *needs;  /* a program without which there is nothing to compare */
	const char *script; /* for bash; $D is a directory with the files of everyday.sh */
};

static const struct everyday programs[] = {
    {"ls", "ls -laR --time-style=+ $D/tree; ls /nonexistent"},
    {"git", "cd $D/tree && git init -q . 2>/dev/null; git add . && git -c user.name=t -c "
	    "user.email=t@t commit -q --date=2020-01-01T00:00:00Z -m t; git status --short; git "
	    "ls-files | wc -l; git show --stat --format=%s HEAD | tail -n 1; git frobnicate"},
    {"python3",
     "python3 -c 'import json,re,zlib,sys; d={str(i): [i]*3 for i in range(20000)}; "
     "s=json.dumps(d); print(len(s), zlib.crc32(s.encode()), len(re.findall(\"9\", s))); "
     "sys.exit(5)'"},
    {"python3", "python3 -c 'raise ValueError(\"no\")'"},
    {"python3", "python3 -c 'import subprocess as s; print(s.run([\"sh\",\"-c\",\"echo x; exit "
		"4\"],stdout=s.PIPE)); import os; os.abort()'"},
    {"sqlite3", "sqlite3 :memory: 'create table t(a,b); with recursive c(n) as (select 1 union all "
		"select n+1 from c where n<20000) insert into t select n, hex(n*n) from c; create "
		"index i on t(b); select count(distinct b), max(b) from t;' 'select nothing;'"},
    {"gcc", "gcc -O2 -Wall -S -o - $D/program.c | cksum; gcc -c -o /dev/null $D/broken.c"},
    {"gcc", "gcc -O1 -o $D/program $D/program.c && $D/program 12; echo $?"},
    {"bash", "f() { local i s=; for ((i = 0; i < 2000; i++)); do s+=$i; done; echo ${#s}; }; f; "
	     "x=$(f | tr 0-4 5-9); echo $x; (exit 7) || echo $?; trap 'echo bye' EXIT; set -u; "
	     "echo $undefined"},
    {"bash", "for i in 1 2 3 4 5; do (sleep 0; exit $i) & wait $!; echo $?; done; kill -TERM $$"},
    {"perl", "perl -e 'my %h; $h{$_ % 977} .= $_ for 1..50000; print length(join \"\", map "
	     "{$h{$_}} sort keys %h), \"\\n\"; warn \"careful\\n\"; exit 3'"},
    {"awk", "awk '{s[$1 % 13] += $1} END {for (i = 0; i < 13; i++) print i, s[i]}' $D/numbers"},
    {"sort", "sort -n -r $D/numbers | cksum; sort -S 1M --parallel=2 $D/numbers | cksum; sort "
	     "/nonexistent"},
    {"tar", "tar -C $D -cf - --sort=name --mtime=@0 numbers program.c | gzip -n | cksum"},
    {"gzip", "gzip -c $D/numbers | gzip -dc | cmp - $D/numbers && echo same; gzip -t $D/numbers"},
    {"xz", "xz -T2 -1 -c $D/numbers | xz -dc | cksum; xz -t $D/numbers"},
    {"openssl", "openssl dgst -sha256 $D/numbers | sed 's/.* //'; openssl enc -aes-128-cbc -K 00 "
		"-iv 00 -in $D/numbers 2>/dev/null | cksum; openssl frobnicate >/dev/null 2>&1; "
		"echo $?"},
    {"find", "find $D/tree -name '*7*' | sort | xargs wc -c | tail -n 1; find /nonexistent"},
    {"grep",
     "grep -c '7.*7' $D/numbers; grep -P '^(\\d)\\1+$' $D/numbers | wc -l; grep x /nonexistent"},
    {"sed", "sed -n 's/\\([0-9]\\)\\([0-9]\\)/\\2\\1/gp' $D/numbers | cksum"},
    {"make", "make -s -j2 -f $D/makefile"},
    {"node", "node -e 'const a = []; for (let i = 0; i < 200000; i++) a.push({i}); "
	     "console.log(a.length, a.reduce((s, x) => s + x.i, 0)); process.exitCode = 6'"},
    {"env", "env -i PATH=$PATH sh -c 'echo clean; env | grep -c VMTRACE'"},
    {"setsid", "setsid -w sh -c 'echo detached; exit 9'; echo $?"},
    {"timeout", "timeout -s TERM 0.05 sleep 5; echo $?"},
};

#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

static void
run_quietly(const char *script)
{
	struct run run;

	run_program(&run, (const char *const[]){"bash", "-c", script, NULL}, NULL);
	if (run.exit_status != 0)
		fail_msg("%s: status %d: %s%s", script, run.exit_status, run.out, run.err);
	run_free(&run);
}

static int
write_inputs(void **state)
{
	(void)state;
	prefer_system_programs();
	setenv("D", scratch_file("same"), 1);
	setenv("LC_ALL", "C", 1);
	setenv("S", script_file(""), 1);
	run_quietly(". \"$S/everyday.sh\"");
	return 0;
}

static bool
have(const char *program)
{
	char command[256];

	snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", program);
	return system(command) == 0;
}

static void
run_watched(struct run *run, const char *const argv[], const char *mode)
{
	const char *const *library = preloaded(scratch_file("same.%n.%p.vmt"));
	char malloc_mode[64];

	snprintf(malloc_mode, sizeof(malloc_mode), "VMTRACE_MALLOC=%s", mode);
	run_program(run, argv, (const char *const[]){library[0], library[1], malloc_mode, NULL});
}

static void
compare(const struct everyday *program, const char *mode)
{
	const char *const argv[] = {"bash", "-c", program->script, NULL};
	struct run bare;
	struct run watched;

	run_quietly("rm -rf $D/tree/.git $D/program");
	run_program(&bare, argv, NULL);
	run_quietly("rm -rf $D/tree/.git $D/program");
	run_watched(&watched, argv, mode);
	if (watched.wait_status != bare.wait_status)
		fail_msg("%s (malloc %s): status %x, bare %x: %s", program->script, mode,
			 (unsigned)watched.wait_status, (unsigned)bare.wait_status, watched.err);
	if (watched.out_bytes != bare.out_bytes ||
	    memcmp(watched.out, bare.out, bare.out_bytes) != 0)
		fail_msg("%s (malloc %s): stdout\n%s\nbare\n%s", program->script, mode, watched.out,
			 bare.out);
	if (strcmp(watched.err, bare.err) != 0)
		fail_msg("%s (malloc %s): stderr\n%s\nbare\n%s", program->script, mode, watched.err,
			 bare.err);
	run_free(&bare);
	run_free(&watched);
}

static void
compare_all(const char *mode)
{
	for (size_t i = 0; i < PROGRAMS; i++)
		if (have(programs[i].needs))
			compare(&programs[i], mode);
		else
			print_message("without %s, which is not installed\n", programs[i].needs);
}

static void
test_sampled(void **state)
{
	(void)state;
	compare_all("sampled");
}

static void
test_all(void **state)
{
	(void)state;
	compare_all("all");
}

/* All that the two tests left behind: every fifth of them, as they are some hundreds. */
static void
test_traces(void **state)
{
	char pattern[4096];
	glob_t found;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s/same.*.vmt", scratch());
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc > 100);
	for (size_t i = 0; i < found.gl_pathc; i += 5) {
		json_t *root = report(found.gl_pathv[i], NULL);

		check_report(root);
		if (number(member(root, "loss"), "events_dropped") != 0 ||
		    number(member(root, "totals"), "double_acquisitions") != 0 ||
		    number(member(root, "totals"), "unknown_releases") != 0)
			fail_msg("%s: %s", found.gl_pathv[i],
				 json_string_value(member(member(root, "process"), "cmdline")));
		json_decref(root);
	}
	globfree(&found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sampled),
	    cmocka_unit_test(test_all),
	    cmocka_unit_test(test_traces),
	};

	return cmocka_run_group_tests_name("same output", tests, write_inputs, NULL);
}
