/*
 * test_others.c: do programs with allocators, runtimes and preloads of their own run as without us?
 *
 * What is not installed is left out by name.
 */
#include "tests/e2e/twice.h"
#include "tests/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARIES "/usr/lib/x86_64-linux-gnu/"

#define COMMANDS "\"$D/blocks\"; date -u -d @86400; ls -l \"$S/blocks.c\" | cut -c1-10; exit 3"

static void
test_preloads(void **state)
{
	static const char *const others[] = {
	    LIBRARIES "libjemalloc.so.2",	   LIBRARIES "libtcmalloc_minimal.so.4",
	    LIBRARIES "libmimalloc.so.2",	   LIBRARIES "libmimalloc.so.3",
	    LIBRARIES "faketime/libfaketime.so.1", LIBRARIES "faketime/libfaketimeMT.so.1",
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
			assert_true(twice_compare_preloading(script, ours) >= 4);
		}
}

/* fakeroot sets LD_PRELOAD by itself, in front of what is there. */
static void
test_fakeroot(void **state)
{
	(void)state;
	if (!twice_succeeds("command -v fakeroot")) {
		print_message("skip: fakeroot is not installed\n");
		skip();
	}
	twice_compare("fakeroot sh -c 'id -u; touch \"$D/owned\"; chown 7:8 \"$D/owned\"; "
		      "stat -c %u:%g \"$D/owned\"'; exit 3");
	assert_true(twice_compare_preloading(
			"fakeroot sh -c 'export LD_PRELOAD=$OURS:$LD_PRELOAD; id -u; touch "
			"\"$D/owned\"; chown 7:8 \"$D/owned\"; stat -c %u:%g \"$D/owned\"'; "
			"exit 3",
			built("libvmtrace.so")) >= 4);
}

/* Allocators that a program is linked to: a library comes behind us, an archive before us. */
static void
test_linked_allocators(void **state)
{
	static const char *const links[] = {
	    "-l:libjemalloc.so.2",
	    "-l:libtcmalloc_minimal.so.4",
	    "-l:libmimalloc.so.2",
	    "-l:libmimalloc.so.3",
	    "-Wl,--whole-archive -l:libjemalloc.a -Wl,--no-whole-archive -lstdc++ -lm -ldl",
	    "-Wl,--whole-archive -l:libtcmalloc_minimal.a -Wl,--no-whole-archive -lstdc++ -lm",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		char script[4096];

		snprintf(script, sizeof(script),
			 "gcc -O1 -o \"$D/linked\" \"$S/blocks.c\" -Wl,--no-as-needed %s -lpthread",
			 links[i]);
		if (!twice_succeeds(script)) {
			print_message("without %s: cannot be linked\n", links[i]);
			continue;
		}
		assert_int_equal(twice_compare("exec \"$D/linked\""), 2);
	}
}

struct runtime {
	const char *needs;
	const char *script;
	bool slow; /* a second or more of processor time: for the long form */
};

static const struct runtime runtimes[] = {
    {"python3", "PYTHONMALLOC=pymalloc python3 \"$S/threads.py\"; exit 3", false},
    {"node", "node \"$S/worker.js\"; exit 3", true},
    {"java", "java -Xmx64m \"$S/Heap.java\"; exit 3", true},
    {"php", "php \"$S/arrays.php\"; exit 3", false},
    {"erl",
     "HOME=\"$D\" erl -noshell -eval 'io:format(\"~p~n\", [lists:sum([length(lists:seq(1, "
     "N)) || N <- lists:seq(1, 900)])]), halt(0).'; exit 3",
     true},
    {"perl", "perl -e 'my @a = map {[$_] x 9} 1..20000; print scalar(@a), \"\\n\"'; exit 3", false},
    {"rustc",
     "[ -x \"$D/rust\" ] || rustc -O -o \"$D/rust\" \"$S/threads.rs\" 2>/dev/null; "
     "\"$D/rust\"; exit 3",
     false},
    {"emacs", "HOME=\"$D\" emacs -Q --batch --load \"$S/lists.el\"; exit 3", false},
};

static void
test_runtimes(void **state)
{
	char needed[256];

	(void)state;
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		if (soak_count(runtimes[i].slow, 0) != 0)
			continue;
		snprintf(needed, sizeof(needed), "command -v %s", runtimes[i].needs);
		if (!twice_succeeds(needed)) {
			print_message("without %s, which is not installed\n", runtimes[i].needs);
			continue;
		}
		assert_true(twice_compare(runtimes[i].script) >= 2);
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
			 "gcc -O1 -fsanitize=%s -o \"$D/sanitized\" \"$S/blocks.c\" -lpthread && "
			 "\"$D/sanitized\" >/dev/null; [ $? = 3 ]",
			 names[i]);
		if (!twice_succeeds(script)) {
			print_message("without -fsanitize=%s\n", names[i]);
			continue;
		}
		assert_int_equal(twice_compare("export ASAN_OPTIONS=verify_asan_link_order=0; exec "
					       "\"$D/sanitized\""),
				 1);
	}
}

/* Releases that went past us are told from events that were lost. */
static void
check_unseen(const char *script)
{
	const char *trace = strdup(scratch_file("unseen.vmt"));
	char output[4096];
	struct run run;
	bool said = false;
	json_t *spot;
	size_t i;

	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s", trace);
	setenv("OURS", built("libvmtrace.so"), 1);
	twice_run(&run, script, (const char *const[]){output, "VMTRACE_MALLOC=all", NULL});
	run_free(&run);
	json_t *root = report(trace, NULL);

	check_report(root);
	assert_true(number(member(root, "totals"), "double_acquisitions") > 0);
	json_array_foreach(member(member(root, "coverage"), "blind_spots"), i, spot)
	{
		said |= strstr(json_string_value(spot), "releases and") != NULL &&
			strstr(json_string_value(spot), "RTLD_DEEPBIND") != NULL;
	}
	assert_true(said);
	json_decref(root);
	unlink(trace);
}

/* A namespace of its own has a C library of its own, and RTLD_DEEPBIND finds the C library before
 * us: what is freed there is not seen, and the report counts its addresses as acquired twice. */
static void
test_namespaces(void **state)
{
	(void)state;
	if (!twice_succeeds("cd \"$D\" && gcc -O1 -shared -fPIC -o plugin.so \"$S/plugin.c\" && "
			    "gcc -O1 -o loads \"$S/loads.c\" -ldl")) {
		print_message("skip: without gcc\n");
		skip();
	}
	assert_int_equal(twice_compare("exec \"$D/loads\" \"$D/plugin.so\""), 2);
	check_unseen("LD_PRELOAD=$OURS exec \"$D/loads\" \"$D/plugin.so\"");
}

/* Only the program itself: the shell is glibc's. */
static void
check_on_musl(const char *library)
{
	const char *trace = scratch_file("musl_blocks.vmt");
	char output[4096];
	struct run run;

	assert_int_equal(
	    twice_compare_preloading("LD_PRELOAD=$OURS exec \"$D/musl_blocks\"", library), 1);
	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s", trace);
	setenv("OURS", library, 1);
	twice_run(&run, "LD_PRELOAD=$OURS exec \"$D/musl_blocks\"",
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
	if (!twice_succeeds("cd \"$D\" && musl-gcc -O1 -o musl_blocks \"$S/blocks.c\"")) {
		print_message("skip: musl-gcc is not installed\n");
		skip();
	}
	check_on_musl(built("libvmtrace.so"));
	check_on_musl(built("musl/libvmtrace.so"));
}

/* No C compiler of 32 bits is needed for so small a program. */
static void
test_32_bit_child(void **state)
{
	size_t lines;

	(void)state;
	if (!twice_succeeds("as --32 -o \"$D/half.o\" \"$S/half.s\" && "
			    "ld -m elf_i386 -dynamic-linker /lib/ld-linux.so.2 -o \"$D/half\" "
			    "\"$D/half.o\" /lib32/libc.so.6")) {
		print_message("skip: libc6-i386 is not installed\n");
		skip();
	}
	assert_int_equal(twice_compare_said("\"$D/half\"; echo $?; \"$D/blocks\"; exit 3",
					    "ERROR: ld.so: ", &lines),
			 2);
	assert_int_equal(lines, 1);
}

static int
write_programs(void **state)
{
	(void)state;
	twice_set_up();
	assert_true(twice_succeeds("gcc -O1 -o \"$D/blocks\" \"$S/blocks.c\" -lpthread"));
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
	    cmocka_unit_test(test_32_bit_child),
	};

	return cmocka_run_group_tests_name("others", tests, write_programs, NULL);
}
