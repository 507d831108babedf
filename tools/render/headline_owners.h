/*
 * headline_owners.h: the first sentence's clauses about who has most.
 */
#ifndef VMT_HEADLINE_OWNERS_H
#define VMT_HEADLINE_OWNERS_H

#include "tools/model/report/report.h"
#include "tools/render/sentence.h"

/* "RSS 331 MiB at 12 s (now 331 MiB, peak 332 MiB)"; "last read 331 MiB" where the reading is old,
 * or is_passed: it is known that much came after the snapshot. */
void vmt_headline_say_rss(struct vmt_sentence *sentence, const struct vmt_report *report,
			  bool is_passed);

/* ": 312 MiB freed but kept by glibc (94 %); then 8 MiB mapped files (2 %), most of it data.bin;
 * 1.2 GiB reserved; most of it not in RAM: arena_grow cache.c:20, 960 MiB of 1 GiB" */
void vmt_headline_say_owners(struct vmt_sentence *sentence, const struct vmt_report *report);

/* "session_open oomfast.c:12" */
void vmt_headline_say_site(struct vmt_sentence *sentence, const struct vmt_site *site);

/* The class that has most, as the clause above has it; nothing where there is none. */
void vmt_headline_say_owner(struct vmt_sentence *sentence, const struct vmt_report *report);

/* Without a snapshot: "; the most by arena_grow cache.c:20, 1 GiB". */
void vmt_headline_say_reserved(struct vmt_sentence *sentence, const struct vmt_report *report);

#endif
