import { useTaskProgress } from './useTaskProgress';

export const TaskProgress = ({ taskId }: { taskId: string }) => {
  const { progress, completed, status, error } = useTaskProgress(taskId);
  if (status === 'error') return <p role="alert">{error?.message}</p>;
  return (
    <section aria-busy={!completed}>
      <h1>{taskId}</h1>
      <progress max={100} value={completed ? 100 : (progress?.progress ?? 0)} />
      {progress && <p className="message">{`${progress.phase}: ${progress.message}`}</p>}
      <p className="end">{completed?.status ?? (status === 'connecting' ? 'connecting …' : 'under way')}</p>
    </section>
  );
};
