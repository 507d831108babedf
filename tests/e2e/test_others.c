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

#define COMMANDS "\"$D/blocks\"; date -u -d @86400; ls -l \"$D/blocks.c\" | cut -c1-10; exit 3"

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
			 "gcc -O1 -o \"$D/linked\" \"$D/blocks.c\" -Wl,--no-as-needed %s -lpthread",
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
    {"python3",
     "PYTHONMALLOC=pymalloc python3 -c 'import threading; r=[]; "
     "t=[threading.Thread(target=lambda i=i: r.append(len(str(2**(i*1999))))) for i in "
     "range(8)]; [x.start() for x in t]; [x.join() for x in t]; print(sorted(r))'; "
     "exit 3",
     false},
    {"node",
     "node -e 'const {Worker} = require(\"worker_threads\"); new Worker(\"let a = []; for "
     "(let i = 0; i < 1e5; i++) a.push([i]); console.log(a.length)\", {eval: true})'; "
     "exit 3",
     true},
    {"java",
     "printf 'class H { public static void main(String[] a) { long s = 0; for (int i = 0; "
     "i < 3000; i++) s += new byte[10000].length; try { Object o = null; o.hashCode(); } "
     "catch (NullPointerException e) { s++; } System.out.println(s); } }' >\"$D/H.java\"; "
     "java -Xmx64m \"$D/H.java\"; exit 3",
     true},
    {"php",
     "php -r '$a = []; for ($i = 0; $i < 50000; $i++) $a[\"k$i\"] = str_repeat(\"x\", $i % "
     "99); echo count($a), strlen(implode($a)), \"\\n\";'; exit 3",
     false},
    {"erl",
     "HOME=\"$D\" erl -noshell -eval 'io:format(\"~p~n\", [lists:sum([length(lists:seq(1, "
     "N)) || N <- lists:seq(1, 900)])]), halt(0).'; exit 3",
     true},
    {"perl", "perl -e 'my @a = map {[$_] x 9} 1..20000; print scalar(@a), \"\\n\"'; exit 3", false},
    {"rustc",
     "printf 'fn main() { let h: Vec<_> = (0..8u64).map(|t| std::thread::spawn(move || "
     "(0..9999).map(|i| vec![t; i as usize %% 100].iter().sum::<u64>()).sum::<u64>()))"
     ".collect(); for x in h { println!(\"{}\", x.join().unwrap()); } }' >\"$D/r.rs\"; "
     "[ -x \"$D/rust\" ] || rustc -O -o \"$D/rust\" \"$D/r.rs\" 2>/dev/null; \"$D/rust\"; "
     "exit 3",
     false},
    {"emacs",
     "HOME=\"$D\" emacs -Q --batch --eval '(progn (let ((l nil)) (dotimes (i 30000) (push "
     "(make-string 20 ?x) l)) (garbage-collect) (princ (length l))) (princ "
     "(shell-command-to-string \"echo spawned\")))'; exit 3",
     false},
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
			 "gcc -O1 -fsanitize=%s -o \"$D/sanitized\" \"$D/blocks.c\" -lpthread && "
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
	if (!twice_succeeds(
		"cd \"$D\" && gcc -O1 -shared -fPIC -o plugin.so plugin.c && gcc -O1 -o loads "
		"loads.c -ldl")) {
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
	if (!twice_succeeds("cd \"$D\" && musl-gcc -O1 -o musl_blocks blocks.c")) {
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
	if (!twice_succeeds(
		"printf '.globl _start\\n_start: pushl $text\\n call puts\\n pushl $70000\\n "
		"call malloc\\n pushl %%eax\\n call free\\n pushl $7\\n call exit\\n"
		".data\\ntext: .asciz \"thirty-two\"\\n' | as --32 -o \"$D/half.o\" - && "
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
	assert_true(twice_succeeds(
	    "cat >\"$D/blocks.c\" <<'END'\n"
	    "#define _GNU_SOURCE\n#include <malloc.h>\n#include <pthread.h>\n#include <stdio.h>\n"
	    "#include <stdlib.h>\n"
	    "static void *work(void *seed) { char *kept[64] = {0}; unsigned x = *(unsigned *)seed; "
	    "for (int i = 0; i < 1000; i++) { x = x * 1103515245 + 12345; char **k = &kept[x >> "
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
	    cmocka_unit_test(test_32_bit_child),
	};

	return cmocka_run_group_tests_name("others", tests, write_programs, NULL);
}
