/* System V segments: one stays attached, one is detached again. */
#include "tests/target/truth.h"

#include <errno.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#define LENGTH (4 * MIB)
#define SHORT_LENGTH MIB /* the look at its release is exact */

static NOINLINE char *
attach_kept(int id)
{
	return truth_mapped(shmat(id, NULL, 0));
}

static NOINLINE char *
attach_short(int id)
{
	return truth_mapped(shmat(id, NULL, 0));
}

/* Removed at once: it goes with its last attachment. */
static int
make_segment(size_t length)
{
	int id = shmget(IPC_PRIVATE, length, IPC_CREAT | 0600);

	if (id < 0)
		truth_die("shmget");
	return id;
}

int
main(void)
{
	struct truth_site kept = {.kind = "shmat", .function = "attach_kept"};
	struct truth_site gone = {.kind = "shmat", .function = "attach_short"};
	int kept_id = make_segment(LENGTH);
	int gone_id = make_segment(SHORT_LENGTH);
	char *range = attach_kept(kept_id);
	char *brief = attach_short(gone_id);

	shmctl(kept_id, IPC_RMID, NULL);
	shmctl(gone_id, IPC_RMID, NULL);
	truth_touch(range, 3 * MIB, PAGE);
	truth_touch(brief, SHORT_LENGTH, 2 * PAGE);
	gone.released_committed_bytes = truth_present(brief, SHORT_LENGTH);
	if (shmdt(brief) != 0)
		truth_die("shmdt");
	if (shmdt(brief) != -1 || errno != EINVAL)
		truth_die("shmdt of nothing");
	kept.count = kept.live_count = gone.count = 1;
	kept.reserved_bytes = kept.accessible_bytes = kept.total_reserved_bytes = LENGTH;
	kept.committed_bytes = truth_present(range, LENGTH);
	gone.total_reserved_bytes = gone.released_bytes = SHORT_LENGTH;
	truth_site(&kept);
	truth_site(&gone);
	return truth_end("shmat");
}
