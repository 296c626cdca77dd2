export { withRevisions } from './with-revisions.ts'
