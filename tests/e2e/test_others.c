/*
 * test_others.c: do programs with allocators, runtimes and preloads of their own run as without us?
 *
 * Each script runs bare and under the library: same output, same status, no line of ours, and
 * every trace that it left has a report that adds up. A program that hangs is ended and fails.
 * What is not installed is left out by name.
 */
#include "tests/e2e/harness.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARIES "/usr/lib/x86_64-linux-gnu/"

static void
run_script(struct run *run, const char *script, const char *const environment[])
{
	run_program(run,
		    (const char *const[]){"timeout", "-k", "1", "60", "sh", "-c", script, NULL},
		    environment);
}

static bool
succeeds(const char *script)
{
	struct run run;

	run_script(&run, script, NULL);
	bool success = run.exit_status == 0;

	run_free(&run);
	return success;
}

/* Reads and removes what a script left; returns how many traces: one of timeout, one of the shell,
 * unless it preloads for itself, and those of what it runs. */
static size_t
check_traces(const char *what)
{
	glob_t found;
	size_t count;

	if (glob(scratch_file("others.*.vmt"), 0, NULL, &found) != 0)
		return 0;
	count = found.gl_pathc;
	for (size_t i = 0; i < count; i++) {
		json_t *root = report(found.gl_pathv[i], NULL);

		check_report(root);
		if (number(member(root, "loss"), "events_dropped") != 0 ||
		    number(member(root, "loss"), "cut_bytes") != 0)
			fail_msg("%s: %s", what, found.gl_pathv[i]);
		json_decref(root);
		unlink(found.gl_pathv[i]);
	}
	globfree(&found);
	return count;
}

static void
expect_same(const char *what, const struct run *watched, const struct run *bare)
{
	if (watched->wait_status != bare->wait_status || watched->out_bytes != bare->out_bytes ||
	    memcmp(watched->out, bare->out, bare->out_bytes) != 0 ||
	    strcmp(watched->err, bare->err) != 0)
		fail_msg("%s\nstatus %x: %s%s\nbare %x: %s%s", what, (unsigned)watched->wait_status,
			 watched->out, watched->err, (unsigned)bare->wait_status, bare->out,
			 bare->err);
}

/* A script that preloads for itself finds in $OURS what it takes, "" for the bare run. */
static size_t
compare_how(const char *script, const char *ours, const char *preload)
{
	char output[4096];
	char us[4096];
	char loaded[4096];
	struct run bare;
	struct run watched;

	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s", scratch_file("others.%n.%p.vmt"));
	snprintf(us, sizeof(us), "OURS=%s", ours);
	snprintf(loaded, sizeof(loaded), "LD_PRELOAD=%s", preload);
	run_script(&bare, script, (const char *const[]){"OURS=", NULL});
	run_script(&watched, script,
		   (const char *const[]){output, us, "VMTRACE_MALLOC=all", loaded, NULL});
	expect_same(script, &watched, &bare);
	if (bare.exit_status != 3)
		fail_msg("%s\nstatus %x: %s%s", script, (unsigned)bare.wait_status, bare.out,
			 bare.err);
	run_free(&bare);
	run_free(&watched);
	return check_traces(script);
}

static size_t
compare(const char *script)
{
	return compare_how(script, "", built("libvmtrace.so"));
}

/* Every script ends with 3, so that one whose program did not even start shows. */
#define COMMANDS "\"$D/blocks\"; date -u -d @86400; ls -l \"$D/blocks.c\" | cut -c1-10; exit 3"

static void
test_preloads(void **state)
{
	static const char *const others[] = {
	    LIBRARIES "libjemalloc.so.2",
	    LIBRARIES "libtcmalloc_minimal.so.4",
	    LIBRARIES "libmimalloc.so.2",
	    LIBRARIES "faketime/libfaketime.so.1",
	    LIBRARIES "faketime/libfaketimeMT.so.1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		for (int first = 0; first < 2; first++) {
			char script[8192];
			char ours[4096];

			if (access(others[i], R_OK) != 0) {
				print_message("without %s, which is not installed\n", others[i]);
				break;
			}
			snprintf(script, sizeof(script), "export LD_PRELOAD=%s\n" COMMANDS,
				 first ? "$OURS:$OTHER" : "$OTHER:$OURS");
			setenv("OTHER", others[i], 1);
			snprintf(ours, sizeof(ours), "%s", built("libvmtrace.so"));
			assert_true(compare_how(script, ours, "") >= 4);
		}
}

/* fakeroot sets LD_PRELOAD by itself, in front of what is there. */
static void
test_fakeroot(void **state)
{
	(void)state;
	if (!succeeds("command -v fakeroot")) {
		print_message("skip: fakeroot is not installed\n");
		skip();
	}
	compare("fakeroot sh -c 'id -u; touch \"$D/owned\"; chown 7:8 \"$D/owned\"; "
		"stat -c %u:%g \"$D/owned\"'; exit 3");
	assert_true(
	    compare_how("fakeroot sh -c 'export LD_PRELOAD=$OURS:$LD_PRELOAD; id -u; touch "
			"\"$D/owned\"; chown 7:8 \"$D/owned\"; stat -c %u:%g \"$D/owned\"'; "
			"exit 3",
			built("libvmtrace.so"), "") >= 4);
}

/* Allocators that a program is linked to: a library comes behind us, an archive before us. */
static void
test_linked_allocators(void **state)
{
	static const char *const links[] = {
	    "-l:libjemalloc.so.2",
	    "-l:libtcmalloc_minimal.so.4",
	    "-l:libmimalloc.so.2",
	    "-Wl,--whole-archive -l:libjemalloc.a -Wl,--no-whole-archive -lstdc++ -lm -ldl",
	    "-Wl,--whole-archive -l:libtcmalloc_minimal.a -Wl,--no-whole-archive -lstdc++",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		char script[4096];

		snprintf(script, sizeof(script),
			 "gcc -O1 -o \"$D/linked\" \"$D/blocks.c\" -Wl,--no-as-needed %s -lpthread",
			 links[i]);
		if (!succeeds(script)) {
			print_message("without %s: cannot be linked\n", links[i]);
			continue;
		}
		assert_int_equal(compare("exec \"$D/linked\""), 3);
	}
}

struct runtime {
	const char *needs;
	const char *script;
};

static const struct runtime runtimes[] = {
    {"python3", "PYTHONMALLOC=pymalloc python3 -c 'import threading; r=[]; "
		"t=[threading.Thread(target=lambda i=i: r.append(len(str(2**(i*1999))))) for i in "
		"range(8)]; [x.start() for x in t]; [x.join() for x in t]; print(sorted(r))'; "
		"exit 3"},
    {"node", "node -e 'const {Worker} = require(\"worker_threads\"); new Worker(\"let a = []; for "
	     "(let i = 0; i < 1e5; i++) a.push([i]); console.log(a.length)\", {eval: true})'; "
	     "exit 3"},
    {"java", "printf 'class H { public static void main(String[] a) { long s = 0; for (int i = 0; "
	     "i < 3000; i++) s += new byte[10000].length; try { Object o = null; o.hashCode(); } "
	     "catch (NullPointerException e) { s++; } System.out.println(s); } }' >\"$D/H.java\"; "
	     "java -Xmx64m \"$D/H.java\"; exit 3"},
    {"php", "php -r '$a = []; for ($i = 0; $i < 50000; $i++) $a[\"k$i\"] = str_repeat(\"x\", $i % "
	    "99); echo count($a), strlen(implode($a)), \"\\n\";'; exit 3"},
    {"erl", "HOME=\"$D\" erl -noshell -eval 'io:format(\"~p~n\", [lists:sum([length(lists:seq(1, "
	    "N)) || N <- lists:seq(1, 900)])]), halt(0).'; exit 3"},
    {"perl", "perl -e 'my @a = map {[$_] x 9} 1..20000; print scalar(@a), \"\\n\"'; exit 3"},
    {"rustc", "printf 'fn main() { let h: Vec<_> = (0..8u64).map(|t| std::thread::spawn(move || "
	      "(0..9999).map(|i| vec![t; i as usize %% 100].iter().sum::<u64>()).sum::<u64>()))"
	      ".collect(); for x in h { println!(\"{}\", x.join().unwrap()); } }' >\"$D/r.rs\"; "
	      "[ -x \"$D/rust\" ] || rustc -O -o \"$D/rust\" \"$D/r.rs\" 2>/dev/null; \"$D/rust\"; "
	      "exit 3"},
    /* These two put themselves behind a seccomp filter. */
    {"file", "file -b \"$D/blocks.c\" \"$D/blocks\" | cut -c1-20; file -bz /dev/null; exit 3"},
    /* The second starts others behind its filter: those say in one line that they aren't recorded.
     */
    {"man", "printf '.TH T 1\\n.SH NAME\\nt \\\\- nothing\\n' >\"$D/t.1\"; man -l \"$D/t.1\" "
	    "2>/dev/null | grep -c nothing; exit 3"},
};

static void
test_runtimes(void **state)
{
	char needed[256];

	(void)state;
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		snprintf(needed, sizeof(needed), "command -v %s", runtimes[i].needs);
		if (!succeeds(needed)) {
			print_message("without %s, which is not installed\n", runtimes[i].needs);
			continue;
		}
		assert_true(compare(runtimes[i].script) >= 2);
	}
}

/* A sanitizer wants to come first and says so of any preload; told not to check, it finds us
 * without a trace. */
static void
test_sanitizers(void **state)
{
	static const char *const names[] = {"address", "thread"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char script[4096];

		snprintf(script, sizeof(script),
			 "gcc -O1 -fsanitize=%s -o \"$D/sanitized\" \"$D/blocks.c\" -lpthread && "
			 "\"$D/sanitized\" >/dev/null; [ $? = 3 ]",
			 names[i]);
		if (!succeeds(script)) {
			print_message("without -fsanitize=%s\n", names[i]);
			continue;
		}
		assert_int_equal(compare("export ASAN_OPTIONS=verify_asan_link_order=0; exec "
					 "\"$D/sanitized\""),
				 2);
	}
}

/* A namespace of its own has a C library of its own, and RTLD_DEEPBIND finds the C library before
 * us: what is freed there is not seen, and the report counts its addresses as acquired twice. */
static void
test_namespaces(void **state)
{
	(void)state;
	if (!succeeds(
		"cd \"$D\" && gcc -O1 -shared -fPIC -o plugin.so plugin.c && gcc -O1 -o loads "
		"loads.c -ldl")) {
		print_message("skip: without gcc\n");
		skip();
	}
	assert_int_equal(compare("exec \"$D/loads\" \"$D/plugin.so\""), 3);
}

/* Only the program itself: the shell is glibc's. */
static void
check_on_musl(const char *library)
{
	const char *trace = scratch_file("musl_blocks.vmt");
	char output[4096];
	struct run run;

	assert_int_equal(compare_how("LD_PRELOAD=$OURS exec \"$D/musl_blocks\"", library, ""), 1);
	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s", trace);
	setenv("OURS", library, 1);
	run_script(&run, "LD_PRELOAD=$OURS exec \"$D/musl_blocks\"",
		   (const char *const[]){output, "VMTRACE_MALLOC=all", NULL});
	run_free(&run);
	json_t *root = report(trace, NULL);

	check_report(root);
	assert_true(site_sum(root, "realloc", "work", "count") > 0);
	assert_true(site_sum(root, "reallocarray", "work", "count") > 0);
	json_decref(root);
	unlink(trace);
}

/* musl's loader takes itself for the C library that we need, whichever of the two that is. */
static void
test_musl(void **state)
{
	(void)state;
	if (!succeeds("cd \"$D\" && musl-gcc -O1 -o musl_blocks blocks.c")) {
		print_message("skip: musl-gcc is not installed\n");
		skip();
	}
	check_on_musl(built("libvmtrace.so"));
	check_on_musl(built("musl/libvmtrace.so"));
}

static int
write_programs(void **state)
{
	(void)state;
	prefer_system_programs();
	setenv("D", scratch(), 1);
	setenv("LC_ALL", "C", 1);
	/* man works as a user of its own. */
	assert_int_equal(chmod(scratch(), 01777), 0);
	assert_true(succeeds(
	    "cat >\"$D/blocks.c\" <<'END'\n"
	    "#define _GNU_SOURCE\n#include <malloc.h>\n#include <pthread.h>\n#include <stdio.h>\n"
	    "#include <stdlib.h>\n"
	    "static void *work(void *seed) { char *kept[64] = {0}; unsigned x = *(unsigned *)seed; "
	    "for (int i = 0; i < 3000; i++) { x = x * 1103515245 + 12345; char **k = &kept[x >> "
	    "26]; "
	    "*k = realloc(*k, (x >> 8) % 5000 + 1); **k = 1; if (i % 7 == 0) *k = reallocarray(*k, "
	    "i, 9); if (i % 9 == 0) { free(*k); *k = NULL; } if (i % 11 == 0) { free(*k); *k = "
	    "memalign(256, 999); } } for (int i = 0; i < 64; i++) free(kept[i]); return NULL; }\n"
	    "int main(void) { static pthread_t t[4]; static unsigned s[4] = {1, 2, 3, 4}; for (int "
	    "i "
	    "= 0; i < 4; i++) pthread_create(&t[i], NULL, work, &s[i]); for (int i = 0; i < 4; "
	    "i++) "
	    "pthread_join(t[i], NULL); puts(\"done\"); return 3; }\n"
	    "END\n"
	    "cat >\"$D/plugin.c\" <<'END'\n"
	    "#include <stdlib.h>\n#include <string.h>\n"
	    "int use(int n) { int sum = 0; for (int i = 1; i < n; i++) { char *p = "
	    "strdup(\"seven..\"); "
	    "p = realloc(p, 100 * i); sum += (int)strlen(p); free(p); } return sum; }\n"
	    "END\n"
	    "cat >\"$D/loads.c\" <<'END'\n"
	    "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <stdio.h>\n"
	    "static void call(void *file) { int (*use)(int) = (int (*)(int))dlsym(file, \"use\"); "
	    "printf(\"%d\\n\", use(500)); dlclose(file); }\n"
	    "int main(int c, char **v) { for (int i = 0; i < 5; i++) { call(dlmopen(LM_ID_NEWLM, "
	    "v[c - "
	    "1], RTLD_NOW)); call(dlopen(v[c - 1], RTLD_NOW | RTLD_DEEPBIND)); } return 3; }\n"
	    "END\n"
	    "gcc -O1 -o \"$D/blocks\" \"$D/blocks.c\" -lpthread"));
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_preloads),
	    cmocka_unit_test(test_fakeroot),
	    cmocka_unit_test(test_linked_allocators),
	    cmocka_unit_test(test_runtimes),
	    cmocka_unit_test(test_musl),
	    cmocka_unit_test(test_sanitizers),
	    cmocka_unit_test(test_namespaces),
	};

	return cmocka_run_group_tests_name("others", tests, write_programs, NULL);
}
