/* The streams of a command that is to have none of our own. */
#ifndef ROOTLESS_STREAMS_H
#define ROOTLESS_STREAMS_H

struct streams {
    int theirs[3]; /* what the command gets: a pipe's end, or our own number where that may pass */
    int ours[3];   /* the other end, or -1 */
};

int streams_open(struct streams *streams);        /* 0, or -1 */
int streams_take(const struct streams *streams);  /* in the child: 0 to 2 become these */
void streams_close(const struct streams *streams); /* in the parent: what was the child's */
#endif
