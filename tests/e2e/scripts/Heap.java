// Garbage, and an exception that the runtime makes out of a signal.
class Heap {
    public static void main(String[] arguments) {
        long sum = 0;
        for (int i = 0; i < 3000; i++)
            sum += new byte[10000].length;
        try {
            Object nothing = null;
            nothing.hashCode();
        } catch (NullPointerException e) {
            sum++;
        }
        System.out.println(sum);
    }
}
