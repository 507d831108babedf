#include "tools/cmd/cmd.h"
#include "tools/cmd/doctor.h"
#include "tools/read/elf/preloadable.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];
static char path[128];
static struct vmt_preloadable program;
static struct vmt_err err;

static const char *
in_directory(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void
write_file(const char *name, const void *bytes, size_t length, mode_t mode)
{
	int fd = open(in_directory(name), O_CREAT | O_TRUNC | O_WRONLY, 0700);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int
inspect(const char *command)
{
	err.text[0] = '\0';
	return vmt_preloadable_inspect(&program, command, &err);
}

/* This test's own program, to be changed byte by byte. */
static unsigned char *
own_bytes(size_t *length)
{
	FILE *file = fopen("/proc/self/exe", "rb");
	unsigned char *bytes = malloc(64 << 20);

	assert_non_null(file);
	assert_non_null(bytes);
	*length = fread(bytes, 1, 64 << 20, file);
	fclose(file);
	return bytes;
}

static void
an_ordinary_program_has_no_obstacle(void **state)
{
	const char *remedy;

	(void)state;
	assert_int_equal(inspect("/proc/self/exe"), 0);
	assert_true(program.right_machine);
	assert_int_equal(program.libc, VMT_PRELOADABLE_LIBC_GLIBC);
	assert_false(program.is_setuid);
	assert_false(program.is_go);
	assert_false(program.defines_malloc);
	if (!program.is_sanitized)
		assert_null(vmt_preloadable_obstacle(&program, &remedy));
}

static void
commands_are_found_by_path(void **state)
{
	(void)state;
	assert_int_equal(inspect("sh"), 0);
	assert_non_null(strstr(program.path, "/sh"));
	assert_int_equal(inspect("no-such-command-anywhere"), -ENOENT);
	assert_int_equal(inspect(""), -ENOENT);
	assert_int_equal(inspect("/no/such/file"), -ENOENT);
	assert_int_equal(inspect("/"), -ENOEXEC);
	assert_int_equal(inspect("/dev/null"), -ENOEXEC);
}

static void
scripts_lead_to_their_interpreter(void **state)
{
	static const char *const scripts[] = {"#!/bin/sh\n", "#!/usr/bin/env sh\n",
					      "#! /usr/bin/env -S A=b sh -e\n", "#!/bin/sh"};
	static const char loop[] = "#!/no/such/interpreter\n";

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		write_file("script", scripts[i], strlen(scripts[i]), 0755);
		assert_int_equal(inspect(in_directory("script")), 0);
		assert_string_equal(program.script, path);
		assert_non_null(strstr(program.path, "/sh"));
	}
	write_file("script", loop, strlen(loop), 0755);
	assert_int_equal(inspect(in_directory("script")), -ENOENT);
	snprintf(program.path, sizeof(program.path), "#!%s\n", in_directory("script"));
	write_file("script", program.path, strlen(program.path), 0755);
	assert_int_equal(inspect(in_directory("script")), -ENOEXEC);
	write_file("script", "#!", 2, 0755);
	assert_int_equal(inspect(in_directory("script")), -ENOEXEC);
}

static Elf64_Phdr *
find_header(unsigned char *bytes, uint32_t type)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)(void *)bytes;
	Elf64_Phdr *headers = (Elf64_Phdr *)(void *)(bytes + header->e_phoff);

	for (unsigned i = 0; i < header->e_phnum; i++)
		if (headers[i].p_type == type)
			return &headers[i];
	fail_msg("no program header of type %u", type);
	return NULL;
}

static const char *
obstacle_of(const unsigned char *bytes, size_t length)
{
	const char *remedy = NULL;
	const char *obstacle;

	write_file("changed", bytes, length, 0755);
	assert_int_equal(inspect(in_directory("changed")), 0);
	/* Of a sanitized test program the sanitizer is no obstacle that we look for. */
	program.is_sanitized = false;
	obstacle = vmt_preloadable_obstacle(&program, &remedy);
	assert_int_equal(obstacle == NULL, remedy == NULL);
	return obstacle;
}

static void
each_obstacle_is_named(void **state)
{
	static const char musl[] = "/lib/ld-musl-x86_64.so.1";
	size_t length;
	unsigned char *bytes = own_bytes(&length);
	Elf64_Ehdr *header = (Elf64_Ehdr *)(void *)bytes;
	Elf64_Phdr *interpreter = find_header(bytes, PT_INTERP);
	uint16_t machine = header->e_machine;

	(void)state;
	assert_null(obstacle_of(bytes, length));
	header->e_machine = EM_S390;
	assert_non_null(strstr(obstacle_of(bytes, length), "machine"));
	header->e_machine = machine;
	assert_true(interpreter->p_filesz >= sizeof(musl));
	memcpy(bytes + interpreter->p_offset, musl, sizeof(musl));
	assert_null(obstacle_of(bytes, length));
	assert_int_equal(program.libc, VMT_PRELOADABLE_LIBC_MUSL);
	interpreter->p_type = PT_NULL;
	assert_non_null(strstr(obstacle_of(bytes, length), "statically linked"));
	assert_int_equal(program.libc, VMT_PRELOADABLE_LIBC_NONE);
	free(bytes);
}

static void
a_setuid_program_of_somebody_else_is_an_obstacle(void **state)
{
	const char *remedy;
	size_t length;
	unsigned char *bytes = own_bytes(&length);

	(void)state;
	write_file("setuid", bytes, length, 0755);
	free(bytes);
	if (chown(in_directory("setuid"), 65534, 65534) < 0)
		skip();
	assert_int_equal(inspect(path), 0);
	assert_false(program.is_setuid);
	assert_int_equal(chmod(path, 04755), 0);
	assert_int_equal(inspect(path), 0);
	assert_true(program.is_setuid);
	assert_non_null(strstr(vmt_preloadable_obstacle(&program, &remedy), "privileges"));
	assert_non_null(strstr(remedy, "run it as the user"));
	/* Linked statically, too: to link it otherwise would be of no use. */
	program.libc = VMT_PRELOADABLE_LIBC_NONE;
	assert_non_null(strstr(vmt_preloadable_obstacle(&program, &remedy), "privileges"));
	assert_non_null(strstr(remedy, "run it as the user"));
	assert_false(vmt_preloadable_is_static(&program));
	/* One of our own changes nothing. */
	assert_int_equal(chown(path, getuid(), getgid()), 0);
	assert_int_equal(chmod(path, 04755), 0);
	assert_int_equal(inspect(path), 0);
	assert_false(program.is_setuid);
}

static void
damaged_programs_do_no_harm(void **state)
{
	size_t length;
	unsigned char *bytes = own_bytes(&length);
	uint32_t random = 7;

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		size_t cut = i < 32 ? length * i / 32 : length;

		for (unsigned flips = 0; i >= 32 && flips < 16; flips++) {
			random = random * 1664525u + 1013904223u;
			bytes[4 + random % 1024] ^= (unsigned char)(random >> 24);
		}
		write_file("damaged", bytes, cut, 0755);
		if (inspect(in_directory("damaged")) < 0)
			assert_string_not_equal(err.text, "");
	}
	free(bytes);
}

/* What `vmtrace doctor ...` prints and returns. */
static int
run_doctor(char *output, size_t room, const char *first, const char *second)
{
	char name[] = "doctor";
	char words[2][128] = {"", ""};
	char *argv[] = {name, words[0], words[1], NULL};
	int argc = 1 + (first != NULL) + (second != NULL);
	int saved = dup(STDOUT_FILENO);
	int fd = open(in_directory("output"), O_CREAT | O_TRUNC | O_RDWR, 0600);
	ssize_t length;
	int result;

	for (int i = 0; i < argc - 1; i++)
		snprintf(words[i], sizeof(words[i]), "%s", i ? second : first);
	argv[argc] = NULL;
	err.text[0] = '\0';
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	result = vmt_cmd_doctor_main(argc, argv, &err);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	length = pread(fd, output, room - 1, 0);
	output[length > 0 ? length : 0] = '\0';
	close(saved);
	close(fd);
	return result;
}

static void
the_verdict_is_the_exit_status(void **state)
{
	static char output[16384];
	char library[128];

	(void)state;
	snprintf(library, sizeof(library), "%s", in_directory("libvmtrace.so"));
	write_file("libvmtrace.so", "x", 1, 0644);
	setenv("VMTRACE_LIB", library, 1);
	setenv("VMTRACE_OUTPUT", in_directory("out.vmt"), 1);
	assert_int_equal(run_doctor(output, sizeof(output), "--", "sh"), 0);
	assert_non_null(strstr(output, "Can be recorded."));
	assert_non_null(strstr(output, "kernel "));
	assert_null(strstr(output, "FAIL"));
	setenv("VMTRACE_LIB", "/no/such/library.so", 1);
	assert_int_equal(run_doctor(output, sizeof(output), "--", "sh"), 1);
	assert_non_null(strstr(output, "FAIL  library"));
	assert_non_null(strstr(output, "->"));
	setenv("VMTRACE_LIB", library, 1);
	setenv("VMTRACE_OUTPUT", "/no/such/directory/x.vmt", 1);
	assert_int_equal(run_doctor(output, sizeof(output), NULL, NULL), 1);
	assert_non_null(strstr(output, "FAIL  output"));
	unsetenv("VMTRACE_OUTPUT");
	unsetenv("VMTRACE_LIB");
}

static void
a_process_is_looked_at(void **state)
{
	static char output[16384];
	char pid[16];

	(void)state;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	assert_true(run_doctor(output, sizeof(output), pid, NULL) >= 0);
	assert_non_null(strstr(output, "is not loaded in process"));
	assert_non_null(strstr(output, "page tables can be read"));
}

/* What is said of this process, were its program a static one. */
static void
say_of_this(bool is_static, char *output, size_t room)
{
	struct vmt_doctor doctor = {.layout = {.out = fmemopen(output, room, "w"), .columns = 1000},
				    .is_static = is_static};

	assert_non_null(doctor.layout.out);
	vmt_doctor_process(&doctor, (uint32_t)getpid());
	fclose(doctor.layout.out);
}

static void
variables_are_no_advice_for_a_static_program(void **state)
{
	static char output[16384];

	(void)state;
	say_of_this(true, output, sizeof(output));
	assert_non_null(strstr(output, "restart it under"));
	assert_null(strstr(output, "vmtrace env"));
	say_of_this(false, output, sizeof(output));
	assert_non_null(strstr(output, "vmtrace env"));
}

#define HAS_NO_RIGHTS 3

/* A child that has given up its rights may not look at this process: 0 = and is told what helps. */
static int
ask_without_rights(void (*give_up)(void), const char *advice)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		char name[] = "doctor";
		char pid[16];
		char *argv[] = {name, pid, NULL};

		snprintf(pid, sizeof(pid), "%d", (int)getppid());
		give_up();
		if (vmt_cmd_doctor_main(2, argv, &err) != -EACCES)
			_exit(1);
		_exit(strstr(err.text, advice) && strstr(err.text, "can't be examined: ") ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0, 0, 0}};

	if (syscall(SYS_capset, &header, none) != 0)
		_exit(HAS_NO_RIGHTS);
}

static void
become_nobody(void)
{
	if (geteuid() != 0 || setresgid(65534, 65534, 65534) != 0 ||
	    setresuid(65534, 65534, 65534) != 0)
		_exit(HAS_NO_RIGHTS);
}

static void
who_may_not_look_is_told_what_helps(void **state)
{
	int status = ask_without_rights(become_nobody, "; run doctor as its user, or as root");

	(void)state;
	if (status == HAS_NO_RIGHTS) {
		printf("skip: no rights to give up\n");
		skip();
	}
	assert_int_equal(status, 0);
	assert_int_equal(ask_without_rights(drop_capabilities, "; root here lacks the right"), 0);
}

static void
wrong_use_is_told(void **state)
{
	static char output[16384];

	(void)state;
	assert_int_equal(run_doctor(output, sizeof(output), "--", NULL), -EINVAL);
	assert_int_equal(run_doctor(output, sizeof(output), "12x", NULL), -EINVAL);
	assert_int_equal(run_doctor(output, sizeof(output), "0", NULL), -EINVAL);
	assert_int_equal(run_doctor(output, sizeof(output), "1", "2"), -EINVAL);
	assert_int_equal(run_doctor(output, sizeof(output), "--bogus", NULL), -EINVAL);
	assert_int_equal(run_doctor(output, sizeof(output), "--", "no-such-command"), -ENOENT);
	/* Beyond any kernel's pid_max. */
	assert_int_equal(run_doctor(output, sizeof(output), "2147483647", NULL), -ENOENT);
	assert_string_equal(err.text, "there is no process 2147483647");
	assert_string_equal(output, "");
}

static int
set_up(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/vmt-doctor-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

/* A program of nothing but headers of tables of symbols, of which one defines malloc. */
struct many_tables {
	Elf64_Ehdr header;
	Elf64_Shdr sections[10];
	Elf64_Sym malloc;
	Elf64_Sym other;
	char strings[16];
};

static bool
defines_malloc(unsigned number, char last)
{
	struct many_tables file = {.strings = "\0malloc\0x"};

	memcpy(file.header.e_ident, ELFMAG, SELFMAG);
	file.header.e_ident[EI_CLASS] = ELFCLASS64;
	file.header.e_ident[EI_DATA] = ELFDATA2LSB;
	file.header.e_ident[EI_VERSION] = EV_CURRENT;
	file.header.e_type = ET_EXEC;
	file.header.e_version = EV_CURRENT;
	file.header.e_ehsize = sizeof(Elf64_Ehdr);
	file.header.e_shentsize = sizeof(Elf64_Shdr);
	file.header.e_shoff = offsetof(struct many_tables, sections);
	file.header.e_shnum = 10;
	file.header.e_shstrndx = 1;
	file.strings[sizeof(file.strings) - 1] = last;
	file.malloc = (Elf64_Sym){
	    .st_name = 1, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = 1};
	file.other = file.malloc;
	file.other.st_name = 8;
	file.sections[1] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
					.sh_offset = offsetof(struct many_tables, strings),
					.sh_size = sizeof(file.strings)};
	for (unsigned i = 2; i < 10; i++)
		file.sections[i] =
		    (Elf64_Shdr){.sh_type = SHT_SYMTAB,
				 .sh_offset = i == number ? offsetof(struct many_tables, malloc)
							  : offsetof(struct many_tables, other),
				 .sh_size = sizeof(Elf64_Sym),
				 .sh_link = 1,
				 .sh_entsize = sizeof(Elf64_Sym),
				 .sh_addralign = 8};
	write_file("tables", &file, sizeof(file), 0700);
	assert_int_equal(inspect(in_directory("tables")), 0);
	return program.defines_malloc;
}

static void
few_tables_of_symbols_are_read(void **state)
{
	(void)state;
	assert_true(defines_malloc(2, '\0'));
	assert_true(defines_malloc(5, '\0'));
	assert_false(defines_malloc(6, '\0'));
	assert_false(defines_malloc(2, 'x')); /* strings without an end */
	assert_int_equal(unlink(in_directory("tables")), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_ordinary_program_has_no_obstacle),
	    cmocka_unit_test(commands_are_found_by_path),
	    cmocka_unit_test(scripts_lead_to_their_interpreter),
	    cmocka_unit_test(each_obstacle_is_named),
	    cmocka_unit_test(a_setuid_program_of_somebody_else_is_an_obstacle),
	    cmocka_unit_test(damaged_programs_do_no_harm),
	    cmocka_unit_test(few_tables_of_symbols_are_read),
	    cmocka_unit_test(the_verdict_is_the_exit_status),
	    cmocka_unit_test(a_process_is_looked_at),
	    cmocka_unit_test(variables_are_no_advice_for_a_static_program),
	    cmocka_unit_test(who_may_not_look_is_told_what_helps),
	    cmocka_unit_test(wrong_use_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
