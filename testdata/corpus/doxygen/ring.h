/** \file ring.h
 *  \brief A ring of numbers, of \today{}. */

/** A ring. */
struct ring {
    int *items;   /**< What is in it. */
    unsigned at;  /**< Where it begins. */
};

/** Puts an item.
 *  \param ring where \param item what
 *  \return whether there was room */
int ring_put(struct ring *ring, int item);
