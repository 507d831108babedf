#include "tools/cmd/doctor.h"

#include "tools/read/symbols/run_times.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void
vmt_doctor_say(struct vmt_doctor *doctor, enum vmt_doctor_level level, const char *remedy,
	       const char *format, ...)
{
	static const char *const words[] = {"ok  ", "note", "FAIL"};
	char text[PATH_MAX];
	char line[PATH_MAX + 16];
	va_list arguments;

	assert((remedy == NULL) == (level == VMT_DOCTOR_OK));
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	snprintf(line, sizeof(line), "%s  %s", words[level], text);
	vmt_layout_wrap(&doctor->layout,
			level == VMT_DOCTOR_LACK ? VMT_STYLE_ALARM : VMT_STYLE_PLAIN, line, 6);
	doctor->notes += level == VMT_DOCTOR_NOTE;
	doctor->lacks += level == VMT_DOCTOR_LACK;
	if (!remedy)
		return;
	snprintf(line, sizeof(line), "   -> %s", remedy);
	vmt_layout_wrap(&doctor->layout, VMT_STYLE_PLAIN, line, 6);
}

const char *
vmt_doctor_remedy_of_denial(void)
{
	return geteuid() == 0 ? "root here lacks the right (CAP_SYS_PTRACE, or a security module "
				"forbids it): run doctor on the host"
			      : "run doctor as its user, or as root";
}

static void
say_kind(struct vmt_doctor *doctor, const struct vmt_preloadable *program)
{
	if (program->script[0])
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL, "program: %s, a script run by %s",
			       program->script, program->path);
	else
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL, "program: %s", program->path);
	if (program->is_go)
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL, "written in Go%s%s",
			       program->go_version[0] ? ", " : "", program->go_version);
}

static void
say_static(struct vmt_doctor *doctor, const struct vmt_preloadable *program)
{
	vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL,
		       "statically linked: vmtrace record puts its recorder into it at its start");
	vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
		       "start it by vmtrace record, or by a program that loads the library",
		       "LD_PRELOAD alone does not reach it where it is started first: as another "
		       "program's child it is recorded if that one is, and executes it as shells "
		       "do");
	vmt_doctor_malloc(doctor, program);
}

/* Code that a run time compiles has the names that it writes down. */
static void
say_compiled(struct vmt_doctor *doctor, const struct vmt_preloadable *program)
{
	const struct vmt_run_time *run_time = vmt_run_times_of(program->path);

	if (run_time)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE, run_time->remedy,
			       "%s have names in a report only if it writes down what it compiles "
			       "(/tmp/perf-PID.map)",
			       run_time->functions);
}

void
vmt_doctor_program(struct vmt_doctor *doctor, const struct vmt_preloadable *program)
{
	const char *remedy;
	const char *obstacle = vmt_preloadable_obstacle(program, &remedy);

	say_kind(doctor, program);
	doctor->is_static = vmt_preloadable_is_static(program);
	if (doctor->is_static)
		say_static(doctor, program);
	else if (obstacle)
		vmt_doctor_say(doctor, VMT_DOCTOR_LACK, remedy, "%s", obstacle);
	else
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL, "dynamically linked, loaded by %s",
			       program->interpreter);
	if (program->libc == VMT_PRELOADABLE_LIBC_OTHER)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE, "try it: only glibc and musl were tested",
			       "its dynamic loader is unknown to vmtrace");
	if (!doctor->is_static && !obstacle)
		vmt_doctor_malloc(doctor, program);
	if (program->is_go)
		vmt_doctor_go(doctor, program);
	if (!obstacle)
		say_compiled(doctor, program);
}
