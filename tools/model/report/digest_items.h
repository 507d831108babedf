/*
 * digest_items.h: the bytes of a digest (digest.h).
 *
 * A digest is folds one after the other. A fold is, as varints (format/varint.h): its first and
 * last time in ticks, how many events of the map family came before it in the trace, how many
 * events of the heap it stands for, the length of its items in bytes; then the items. An item has
 * its tag, how many events of the map family came since the item before, and what its tag says.
 * CHANGE is the last of a fold.
 */
#ifndef VMT_DIGEST_ITEMS_H
#define VMT_DIGEST_ITEMS_H

enum vmt_digest_tag {
	VMT_DIGEST_SITE = 1, /* a new call site: stack, advice, kind, its number */
	VMT_DIGEST_RELEASE,  /* pages of a large block: the event, the block's size */
	VMT_DIGEST_MOVE,     /* likewise: the event, the old block's address and size */
	VMT_DIGEST_UNDO,
	VMT_DIGEST_MARK,  /* an event for history_marks.h */
	VMT_DIGEST_CLEAR, /* a thread's last release, for the same, is followed by another */
	VMT_DIGEST_CHANGE /* counters, then heap_change.h */
};

/* Counters of a replay that events of the heap change. */
#define VMT_DIGEST_COUNTERS(X)                                                                     \
	X(double_acquisitions)                                                                     \
	X(unknown_releases)                                                                        \
	X(malformed)                                                                               \
	X(early_acquisitions)                                                                      \
	X(early_releases)

#define VMT_DIGEST_ONE(name) +1
enum { VMT_DIGEST_COUNTED = 0 VMT_DIGEST_COUNTERS(VMT_DIGEST_ONE) };
#undef VMT_DIGEST_ONE

#endif
