#include "capture/trace/static_exec.h"

#include "capture/core/config.h"
#include "capture/core/recording.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define BAD_ADDRESS 8

static int program; /* its headers: of one that loads no library */

static int
set_up(void **state)
{
	Elf64_Ehdr header = {
	    .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64},
	    .e_type = ET_EXEC,
	    .e_machine = EM_X86_64,
	    .e_phentsize = sizeof(Elf64_Phdr),
	};

	(void)state;
	program = memfd_create("program", 0);
	if (write(program, &header, sizeof(header)) != (ssize_t)sizeof(header))
		return -1;
	vmt_config.follow_exec = true;
	close(vmt_session_create_nameless(&vmt_recording.session));
	vmt_recording.session->exec_server = 1;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	close(program);
	return munmap(vmt_recording.session, sizeof(*vmt_recording.session));
}

/* Nobody answers. */
static bool
asks(int directory, const char *path)
{
	const struct vmt_static_exec exec = {.directory = directory, .path = path};
	uint32_t before = vmt_recording.session->exec_wake;

	assert_null(vmt_static_exec_announce(&exec));
	assert_int_equal(vmt_recording.session->slots[0].state, VMT_SESSION_FREE);
	return vmt_recording.session->exec_wake != before;
}

static void
a_program_is_found_in_each_way(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", program);
	assert_true(asks(AT_FDCWD, path));
	assert_true(asks(program, ""));
	assert_true(asks(program, NULL));
	assert_int_equal(vmt_recording.session->execs_missed, 3);
	assert_false(asks(AT_FDCWD, "/proc/self/exe"));
	assert_false(asks(AT_FDCWD, "/nonexistent"));
	assert_false(asks(AT_FDCWD, ""));
	assert_false(asks(AT_FDCWD, NULL));
}

/* The kernel reads the first line of a script the same way. */
static bool
asks_for_script(const char *format)
{
	int script = memfd_create("script", 0);
	char text[128];
	char path[64];
	int length = snprintf(text, sizeof(text), format, program);
	bool asked;

	assert_int_equal(write(script, text, (size_t)length), length);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", script);
	asked = asks(AT_FDCWD, path);
	close(script);
	return asked;
}

static void
a_script_is_run_by_a_program(void **state)
{
	(void)state;
	assert_true(asks_for_script("#!/proc/self/fd/%d\n"));
	assert_true(asks_for_script("#! \t/proc/self/fd/%d an argument\nmore\n"));
	assert_true(asks_for_script("#!/proc/self/fd/%d"));
	assert_false(asks_for_script("/proc/self/fd/%d\n"));
	assert_false(asks_for_script("#!\n/proc/self/fd/%d\n"));
	assert_false(asks_for_script("#!/nonexistent/%d\n"));
	assert_false(asks_for_script("#"));
	assert_false(asks_for_script(""));
}

/* Each is its own interpreter. */
static void
scripts_do_not_go_on_for_ever(void **state)
{
	char text[64];
	int script = memfd_create("script", 0);
	int length = snprintf(text, sizeof(text), "#!/proc/self/fd/%d\n", script);

	(void)state;
	assert_int_equal(write(script, text, (size_t)length), length);
	assert_false(asks(AT_FDCWD, text + 2)); /* with the end of the line: no such file */
	text[length - 1] = '\0';
	assert_false(asks(AT_FDCWD, text + 2));
	close(script);
}

static void
a_bad_path_is_not_read(void **state)
{
	const char *bad = (const char *)BAD_ADDRESS; /* NOLINT(performance-no-int-to-ptr) */

	(void)state;
	assert_false(asks(AT_FDCWD, bad));
	assert_false(asks(program, bad));
}

/* By the number of this process its server would find another one. */
static void
nobody_of_another_pid_namespace_is_asked(void **state)
{
	(void)state;
	vmt_recording.session->pid_namespace++;
	assert_false(asks(program, NULL));
}

static void
who_has_no_server_is_not_asked(void **state)
{
	(void)state;
	vmt_recording.session->exec_server = 0;
	assert_false(asks(program, NULL));
	vmt_recording.session->exec_server = 1;
	vmt_recording.session->over = 1;
	assert_false(asks(program, NULL));
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(a_program_is_found_in_each_way),
	    TEST(a_script_is_run_by_a_program),
	    TEST(scripts_do_not_go_on_for_ever),
	    TEST(a_bad_path_is_not_read),
	    TEST(nobody_of_another_pid_namespace_is_asked),
	    TEST(who_has_no_server_is_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
