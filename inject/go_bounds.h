/*
 * go_bounds.h: where do the functions of a Go program lie?
 *
 * Out of the table that Go's runtime has of them (unwind/gopclntab.h); a stripped program has it
 * too. The table counts from the start of Go's code, which not every version tells. So it is set by
 * a function whose code is known byte for byte (format/go_forms.h), and a second one must then lie
 * where the table says. Where that is not so, nothing is added. Since Go 1.18, all of the table
 * counts from there: it holds no address (map->table). Pure but for the map that it fills.
 */
#ifndef VMT_GO_BOUNDS_H
#define VMT_GO_BOUNDS_H

#include "inject/code_map.h"

#include <stdint.h>

/* table: where .gopclntab lies in the process, bytes_there: how long the section is. 0, or a
 * negative errno. */
int vmt_go_bounds_add(struct vmt_code_map *map, uint64_t table, uint64_t bytes_there);

#endif
