-- The mark of the last batch, and of the one before it: so a batch whose answer was lost is recognised. The transaction's number does not do that:
-- a server that was killed before any of a transaction reached its log gives the number away again.
ALTER TABLE book ADD COLUMN mark UUID, ADD COLUMN mark_before UUID;
