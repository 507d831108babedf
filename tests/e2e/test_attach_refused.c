/*
 * test_attach_refused.c: is a process left alone that can't be recorded while it runs, and does one
 * line say why?
 */
#include "tests/e2e/harness.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)

static const char *
text_of(pid_t pid)
{
	static char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	return text;
}

/* All its lines are of vmtrace; the first says why. */
static void
expect_refusal(const char *const argv[], pid_t pid, const char *why, int status)
{
	char line[256];
	struct run run;

	snprintf(line, sizeof(line), "vmtrace: the calls of process %d can't be recorded: %s\n",
		 (int)pid, why);
	run_program(&run, argv, NULL);
	if (strncmp(run.err, line, strlen(line)) != 0)
		print_error("%s", run.err);
	assert_memory_equal(run.err, line, strlen(line));
	assert_int_equal(run.exit_status, status);
	run_free(&run);
}

static void
expect_refused(pid_t pid, const char *why, int status)
{
	expect_refusal((const char *const[]){built("vmtrace"), "record", "-p", text_of(pid),
					     "--for", "10ms", "-o", scratch_file("refused.vmt"),
					     NULL},
		       pid, why, status);
}

/* Until it is what it shall become: its program's name is another. */
static void
await_program(pid_t pid, const char *name)
{
	char path[64], target[4096];
	int64_t end = now_ms() + 60000;
	ssize_t bytes;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	do {
		bytes = readlink(path, target, sizeof(target) - 1);
		target[bytes > 0 ? bytes : 0] = '\0';
		usleep(1000);
	} while (!strstr(target, name) && now_ms() < end);
	assert_non_null(strstr(target, name));
}

static void
end_by_signal(pid_t pid)
{
	int status = 0;

	/* It runs on as before, and nothing else has ended it. */
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

/* A program of 32 bits that waits: pause, again and again. */
static void
make_narrow(const char *path)
{
	static const unsigned char code[] = {0xb8, 29, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7};
	struct {
		Elf32_Ehdr header;
		Elf32_Phdr segment;
		unsigned char code[sizeof(code)];
	} program = {
	    .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
		       .e_type = ET_EXEC,
		       .e_machine = EM_386,
		       .e_version = EV_CURRENT,
		       .e_entry = 0x8048000 + sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr),
		       .e_phoff = sizeof(Elf32_Ehdr),
		       .e_ehsize = sizeof(Elf32_Ehdr),
		       .e_phentsize = sizeof(Elf32_Phdr),
		       .e_phnum = 1},
	    .segment = {.p_type = PT_LOAD,
			.p_vaddr = 0x8048000,
			.p_paddr = 0x8048000,
			.p_filesz = sizeof(program),
			.p_memsz = sizeof(program),
			.p_flags = PF_R | PF_X,
			.p_align = 4096},
	};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	memcpy(program.code, code, sizeof(code));
	assert_true(fd >= 0);
	assert_int_equal(write(fd, &program, sizeof(program)), sizeof(program));
	assert_int_equal(close(fd), 0);
}

static void
one_of_32_bits(void **state)
{
	const char *path = scratch_file("narrow");
	int ready[2];
	pid_t child;
	char byte;

	(void)state;
	make_narrow(path);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		execl(path, path, (char *)NULL);
		(void)!write(ready[1], "x", 1);
		_exit(127);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 0) {
		close(ready[0]);
		waitpid(child, NULL, 0);
		printf("skip: this kernel runs no programs of 32 bits\n");
		skip();
	}
	close(ready[0]);
	expect_refused(child, "it is no program of x86-64", 0);
	end_by_signal(child);
}

static void
one_that_is_gone(void **state)
{
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	expect_refused(child, "it has ended", 125);
}

/* A program that answers its input goes on doing so, whatever was tried with it. */
static void
expect_answers(struct conversation *program)
{
	assert_int_equal(write(program->to, "on\n", 3), 3);
	converse_read_line(program);
	assert_string_equal(program->line, "on");
	assert_int_equal(converse_end(program), 0);
}

static pid_t
child_of(pid_t parent)
{
	char path[64];
	int child = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	for (int64_t end = now_ms() + 60000; child == 0 && now_ms() < end; usleep(1000)) {
		FILE *file = fopen(path, "re");

		if (!file || fscanf(file, "%d", &child) != 1)
			child = 0;
		if (file)
			fclose(file);
	}
	assert_true(child > 0);
	return child;
}

static void
one_of_another_pid_namespace(void **state)
{
	static const char *const try[] = {"unshare", "-pf", "--mount-proc", "true", NULL};
	struct conversation program;
	struct run run;
	pid_t child;
	bool can;

	(void)state;
	run_program(&run, try, NULL);
	can = run.exit_status == 0;
	run_free(&run);
	if (!can) {
		printf("skip: no pid namespace can be made\n");
		skip();
	}
	/* It ends with its input. */
	converse_start(&program,
		       (const char *const[]){"unshare", "-pf", "--mount-proc", "cat", NULL}, NULL);
	child = child_of(program.pid);
	await_program(child, "/cat");
	expect_refused(child, "it is of another pid namespace, or another user's", 0);
	expect_answers(&program);
}

static void
one_that_sees_other_files(void **state)
{
	static const char *const try[] = {"unshare", "-m", "true", NULL};
	struct conversation program;
	struct run run;
	bool can;

	(void)state;
	run_program(&run, try, NULL);
	can = run.exit_status == 0;
	run_free(&run);
	if (!can) {
		printf("skip: no mount namespace can be made\n");
		skip();
	}
	converse_start(&program, (const char *const[]){"unshare", "-m", "cat", NULL}, NULL);
	await_program(program.pid, "/cat");
	expect_refused(program.pid, "it sees other files: it could not write the trace here", 0);
	expect_answers(&program);
}

/* Whoever asks, also root: the filter might end the program at a call of ours. */
static void
one_with_a_filter(void **state)
{
	const char *program = built("tests/target/filtered");
	struct conversation talk;

	(void)state;
	converse_start(&talk, (const char *const[]){program, "cat", NULL}, NULL);
	await_program(talk.pid, "/cat");
	expect_refused(talk.pid, "it has a filter of system calls (seccomp)", 0);
	expect_answers(&talk);
}

static void
one_whose_thread_has_a_filter(void **state)
{
	struct conversation talk;

	(void)state;
	converse_start(&talk, (const char *const[]){built("tests/target/filtered_thread"), NULL},
		       NULL);
	converse_read_line(&talk);
	assert_string_equal(talk.line, "ready");
	expect_refused(talk.pid, "one of its threads has a filter of system calls (seccomp)", 0);
	expect_answers(&talk);
}

/* By who may neither trace it nor look at it. */
static void
one_of_another_user(void **state)
{
	const char *command = built_for_others("vmtrace");
	const char *pid = text_of(getpid());
	struct run run;

	(void)state;
	if (geteuid() != 0) {
		printf("skip: only root can become another user\n");
		skip();
	}
	run_program(&run,
		    (const char *const[]){"setpriv", "--reuid", "65534", "--regid", "65534",
					  "--clear-groups", command, "record", "-p", pid, "-o",
					  "/tmp/vmtrace-refused-%p.vmt", NULL},
		    NULL);
	assert_int_equal(run.exit_status, 125);
	assert_non_null(says(run.err, "can't be recorded: it is of another pid namespace, or "
				      "another user's"));
	run_free(&run);
}

#endif

int
main(void)
{
#if defined(__x86_64__)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_of_32_bits),
	    cmocka_unit_test(one_that_is_gone),
	    cmocka_unit_test(one_of_another_pid_namespace),
	    cmocka_unit_test(one_that_sees_other_files),
	    cmocka_unit_test(one_with_a_filter),
	    cmocka_unit_test(one_whose_thread_has_a_filter),
	    cmocka_unit_test(one_of_another_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
#else
	return 0;
#endif
}
