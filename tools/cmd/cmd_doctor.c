#include "base/procfs.h"
#include "tools/cmd/cmd.h"
#include "tools/cmd/doctor.h"
#include "tools/cmd/terminal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS_NOT_RECORDABLE 1

const struct vmt_option vmt_cmd_doctor_options[] = {{0}};

/* What the doctor was asked to look at besides the host. */
struct patient {
	struct vmt_preloadable program;
	bool has_program;
	uint32_t pid; /* 0 = not a process */
};

static int
read_pid(const char *number, uint32_t *pid, struct vmt_err *err)
{
	char *end;
	unsigned long value = strtoul(number, &end, 10);

	if (*number < '0' || *number > '9' || *end || value == 0 || value > INT32_MAX)
		return vmt_err_set(err, EINVAL,
				   "'%s' is not a process id; for a command write vmtrace doctor "
				   "-- %s",
				   number, number);
	*pid = (uint32_t)value;
	return 0;
}

/* Why there is nothing to look at, in the reader's terms. */
static int
say_unreadable(uint32_t pid, int result, struct vmt_err *err)
{
	char directory[64];

	if (result != -ENOENT && result != -EACCES && result != -EPERM)
		return result;
	err->text[0] = '\0';
	snprintf(directory, sizeof(directory), "/proc/%" PRIu32, pid);
	if (result == -ENOENT && vmt_procfs_is_hidden(pid))
		return vmt_err_set(
		    err, EPERM, "process %" PRIu32 " can't be seen: /proc hides it (hidepid=); %s",
		    pid, vmt_doctor_remedy_of_denial());
	if (result == -ENOENT && access(directory, F_OK) != 0)
		return vmt_err_set(err, ENOENT, "there is no process %" PRIu32, pid);
	if (result == -ENOENT)
		return vmt_err_set(err, ENOENT, "process %" PRIu32 " has no program file", pid);
	return vmt_err_set(err, -result, "process %" PRIu32 " can't be examined: %s; %s", pid,
			   strerror(-result), vmt_doctor_remedy_of_denial());
}

static int
inspect_process(struct patient *patient, struct vmt_err *err)
{
	char link[64];
	int result;
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/%" PRIu32 "/exe", patient->pid);
	result = vmt_preloadable_inspect(&patient->program, link, err);
	if (result < 0)
		return say_unreadable(patient->pid, result, err);
	length = readlink(link, patient->program.path, sizeof(patient->program.path) - 1);
	if (length > 0)
		patient->program.path[length] = '\0';
	return 0;
}

static int
find_patient(struct patient *patient, int argc, char **argv, struct vmt_err *err)
{
	bool is_command = argc > 1 && strcmp(argv[1], "--") == 0;
	struct vmt_options options = {.operand_count = 0};
	int result = vmt_options_parse(&options, vmt_cmd_doctor_options, argc, argv, true, err);

	if (result < 0)
		return result;
	if (is_command && options.operand_count == 0)
		return vmt_err_set(err, EINVAL, "doctor -- needs a command");
	if (!is_command && options.operand_count > 1)
		return vmt_err_set(
		    err, EINVAL,
		    "doctor takes one process id; for a command write vmtrace doctor -- %s",
		    options.operands[0]);
	patient->has_program = options.operand_count > 0;
	if (!patient->has_program)
		return 0;
	if (is_command)
		return vmt_preloadable_inspect(&patient->program, options.operands[0], err);
	result = read_pid(options.operands[0], &patient->pid, err);
	return result < 0 ? result : inspect_process(patient, err);
}

static const char *
verdict(const struct vmt_doctor *doctor)
{
	if (doctor->lacks && doctor->is_recorded)
		return "Is being recorded. A new recording from here needs what each FAIL says.";
	if (doctor->lacks)
		return "Can't be recorded: see each FAIL above.";
	return doctor->verdict ? doctor->verdict : "Can be recorded.";
}

int
vmt_cmd_doctor_main(int argc, char **argv, struct vmt_err *err)
{
	struct vmt_doctor doctor = {.layout = vmt_terminal_layout(stdout)};
	struct patient patient = {.pid = 0};
	int result = find_patient(&patient, argc, argv, err);

	if (result < 0)
		return result;
	vmt_doctor_host(&doctor);
	if (patient.has_program)
		vmt_doctor_program(&doctor, &patient.program);
	if (patient.pid)
		vmt_doctor_process(&doctor, patient.pid);
	else
		vmt_doctor_output(&doctor);
	vmt_layout_line(&doctor.layout, VMT_STYLE_TITLE, "%s", verdict(&doctor));
	return doctor.lacks && !doctor.is_recorded ? STATUS_NOT_RECORDABLE : 0;
}
