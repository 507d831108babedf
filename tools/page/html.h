/*
 * html.h: a report as one HTML file, which needs no network and no other file.
 *
 * The file holds the page's script and style (page.S) and the data of one or two reports
 * (docs/view-format.md) as base64 of gzip. Its policy (CSP) allows this script and this style by
 * their hashes, and forbids everything else: requests, markup with code in it, frames, forms.
 * Memory does not grow with the data. Stateless; one thread for one file.
 */
#ifndef VMT_HTML_H
#define VMT_HTML_H

#include "tools/err.h"

#include <stdio.h>

/* Writes vmtrace-view/1 to json. 0, or below 0 with a message. */
typedef int vmt_html_data(void *argument, FILE *json, struct vmt_err *err);

/* title: UTF-8; what could be markup in it is escaped. 0, or a negative errno with a message where
 * write_data failed or memory was short. Errors of writing stay in out, for its owner. */
int vmt_html_write(FILE *out, const char *title, vmt_html_data *write_data, void *argument,
		   struct vmt_err *err);

#endif
