/*
 * doctor.h: prints findings of the doctor and counts what is lacking.
 *
 * Findings on stdout, one a line: "ok", "note" (works, but worse), or "LACK" (can't be recorded),
 * the last two with a remedy. Counts the lacks.
 */
#ifndef VMT_DOCTOR_H
#define VMT_DOCTOR_H

#include "tools/read/elf/preloadable.h"
#include "tools/render/layout.h"

enum vmt_doctor_level { VMT_DOCTOR_OK, VMT_DOCTOR_NOTE, VMT_DOCTOR_LACK };

struct vmt_doctor {
	struct vmt_layout layout;
	unsigned lacks;
	unsigned notes;
	bool is_static;	     /* the program: LD_PRELOAD does not reach it */
	bool is_recorded;    /* the process that runs, now */
	bool is_idle;	     /* the library is not loaded there */
	const char *verdict; /* on that process; NULL = no process, or nothing is known */
};

/* remedy: NULL with VMT_DOCTOR_OK alone. */
__attribute__((format(printf, 4, 5))) void vmt_doctor_say(struct vmt_doctor *doctor,
							  enum vmt_doctor_level level,
							  const char *remedy, const char *format,
							  ...);

/* What helps one who has no leave to look at a process: root needs no advice to become root. */
const char *vmt_doctor_remedy_of_denial(void);

void vmt_doctor_program(struct vmt_doctor *doctor, const struct vmt_preloadable *program);
/* What is special about a Go program. */
void vmt_doctor_go(struct vmt_doctor *doctor, const struct vmt_preloadable *program);
/* How are the blocks of its own malloc seen, if it has one? After is_static is known. */
void vmt_doctor_malloc(struct vmt_doctor *doctor, const struct vmt_preloadable *program);
/* What a value of kernel.yama.ptrace_scope means for Go's own counters. */
void vmt_doctor_go_counters(struct vmt_doctor *doctor, long ptrace_scope);
void vmt_doctor_process(struct vmt_doctor *doctor, uint32_t pid);
/* By which ways other than the library can a running process be looked at or recorded? */
void vmt_doctor_ways(struct vmt_doctor *doctor, uint32_t pid);
void vmt_doctor_host(struct vmt_doctor *doctor);
/* May page faults be sampled? */
void vmt_doctor_touch(struct vmt_doctor *doctor);
/* Where a new recording from here would write to: says nothing of a process that runs. */
void vmt_doctor_output(struct vmt_doctor *doctor);

#endif
