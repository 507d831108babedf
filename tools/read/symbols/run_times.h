/*
 * run_times.h: how is a run time told to write down the code that it compiles?
 *
 * The table is constant.
 */
#ifndef VMT_RUN_TIMES_H
#define VMT_RUN_TIMES_H

struct vmt_run_time {
	const char *program;   /* beginning of the name of its executable */
	const char *frame;     /* beginning of a function that runs code of its own; NULL: frames
				  outside of any file show that it does */
	const char *functions; /* what has no names without */
	const char *remedy;
};

/* By the path of the executable, which may be NULL. NULL: none is known. */
const struct vmt_run_time *vmt_run_times_of(const char *exe);

#endif
