/*
 * pod_patch.h: what to change in a workload of Kubernetes, so that its containers are recorded.
 *
 * Reads a Deployment, StatefulSet, DaemonSet or ReplicaSet as `kubectl get -o json` prints it, and
 * writes a strategic merge patch: an init container puts the library into a volume, each container
 * loads it from there and writes its trace there. A LD_PRELOAD that a container has is kept, behind
 * the library. One that its image sets, or envFrom brings, is not seen. The input is untrusted. One
 * thread's.
 */
#ifndef VMT_POD_PATCH_H
#define VMT_POD_PATCH_H

#include "tools/err.h"

#include <stdbool.h>
#include <stdio.h>

struct vmt_pod_patch {
	const char *container; /* the only one to be recorded; NULL: all */
	const char *image;     /* that has vmtrace-install */
	bool is_musl;	       /* the containers' C library is musl */
	FILE *notes;	       /* says what the workload does not show; or NULL */
};

/* 0, or a negative errno with a message: nothing is written then. */
int vmt_pod_patch_write(const struct vmt_pod_patch *patch, FILE *in, FILE *out,
			struct vmt_err *err);

#endif
