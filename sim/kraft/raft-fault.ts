/**
 * What stops Kafka's raft thread for good: a state that its rules hold impossible, or a failing disk.
 *
 * Kafka ends the process then (its fault handler for the raft manager is fatal). It is no defect of ours: lying disks and
 * edited files bring it about. The raft thread catches it and halts the process with the message as reason.
 */
export class RaftFault extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'RaftFault'
  }
}
