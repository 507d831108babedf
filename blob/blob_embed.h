/*
 * blob_embed.h: the blob (blob_start.h) as bytes of the command
 */
#ifndef VMT_BLOB_EMBED_H
#define VMT_BLOB_EMBED_H

extern const unsigned char vmt_blob_embed[] __attribute__((visibility("hidden")));
extern const unsigned char vmt_blob_embed_end[] __attribute__((visibility("hidden")));

#endif
